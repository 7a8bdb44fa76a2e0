/*
 * Calls the library as tests say: one command a line on stdin, one line of
 * answer on stdout, `ok` with results or `error STATUS TEXT`. Numbers are
 * printed so that no bit is lost. Two models, `a` and `b`, can be open.
 *
 *   open M PATH LIBRARY|- MANIFEST|- THREADS XNNPACK TRUST
 *   info M | settings M | label M INDEX | close M | reset M | state M PATH
 *   infer M PATH                     pixels of one image
 *   train M PATH RATE LABEL...       pixels of a batch
 *   attributes M PATH RATE LABEL...  the same for several attributes
 *   numbers M PATH RATE LABEL...     the same for a regression
 *   array M                          what is known of arrays
 *   infer_array M PATH               float32 values of an array
 *   train_arrays | attributes_arrays | numbers_arrays M PATH RATE LABEL...
 *   waveform M SAMPLES RATE PATH     writes the array of samples of 16 bits
 *   figures PREDICTIONS LABELS OUTPUTS
 *   save M PATH | restore M PATH | set M PATH | add M HEX
 *   read PATH FINGERPRINT COUNT | write PATH FINGERPRINT VALUE...
 *   named PATH FINGERPRINT NAMES     writes no values and the names of a file
 *   churn PATH FINGERPRINT COUNT     writes states of equal values for ever
 *   sha256 PATH | crc32 PATH | names PATH
 *   fit PPM FRACTION HEIGHT WIDTH OUTPUT
 *   change PPM LEFT TOP RIGHT BOTTOM FLIP COLOR|- AMOUNT HEIGHT WIDTH OUTPUT
 *   recolor RAW COLOR AMOUNT         changes raw pixels in place
 *   order SEED EPOCH COUNT | place SEED EPOCH COUNT INDEX | steps COUNT BATCH
 *   rate SCHEDULE BASE STEP STEPS
 *   draw SEED EPOCH PHOTO COPY HEIGHT WIDTH CROP AREA AREA ASPECT ASPECT FLIP
 *        COLOR
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "color.h"
#include "image.h"
#include "internal.h"
#include "plan.h"

#define MOST_WORDS 512
#define GUARD 0x5a /* Behind each result, where nothing may write. */

static tinytl_error error;
static tinytl_model *models[2];

/* Fails a test by ending the process. */
static void require(bool condition, const char *what) {
  if (!condition) {
    fprintf(stderr, "client.c: %s\n", what);
    abort();
  }
}

static void *get_memory(size_t size) {
  void *memory = malloc(size == 0 ? 1 : size);
  require(memory != NULL, "no memory");
  memset(memory, GUARD, size);
  return memory;
}

static uint8_t *read_bytes(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  require(file != NULL, "cannot open a file");
  require(fseek(file, 0, SEEK_END) == 0, "cannot seek");
  const long length = ftell(file);
  require(length >= 0 && fseek(file, 0, SEEK_SET) == 0, "cannot seek");
  *size = (size_t)length;
  uint8_t *bytes = get_memory(*size);
  require(fread(bytes, 1, *size, file) == *size, "cannot read");
  (void)fclose(file);
  return bytes;
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  require(file != NULL && fwrite(bytes, 1, size, file) == size, "cannot write");
  require(fclose(file) == 0, "cannot write");
}

static void answer(tinytl_status status) {
  require(status == error.status, "a status and its error differ");
  require((status == TINYTL_OK) == (error.text[0] == '\0'), "no text, or one");
  require(strlen(error.text) < TINYTL_TEXT_SIZE, "a text has no end");
  if (status == TINYTL_OK) {
    printf("ok");
  } else {
    printf("error %s %s", tinytl_status_name(status), error.text);
  }
}

static void print_floats(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    printf(" %a", (double)values[i]);
  }
}

static void print_hex(const char *text) {
  printf(" ");
  for (; *text != '\0'; text++) {
    printf("%02x", (unsigned)(unsigned char)*text);
  }
}

/* Returns the text that hexadecimal digits stand for; the next call reuses it.
 */
static const char *unhex(const char *hex) {
  static char text[1 << 15];
  size_t length = 0;
  for (; hex[0] != '\0'; hex += 2) {
    unsigned byte = 0;
    require(sscanf(hex, "%2x", &byte) == 1, "no hexadecimal digits");
    text[length++] = (char)byte;
  }
  text[length] = '\0';
  return text;
}

static void read_fingerprint(const char *hex, uint8_t *fingerprint) {
  require(strlen(hex) == 2 * TINYTL_FINGERPRINT_SIZE, "no fingerprint");
  for (size_t i = 0; i < TINYTL_FINGERPRINT_SIZE; i++) {
    unsigned byte = 0;
    require(sscanf(hex + 2 * i, "%2x", &byte) == 1, "no fingerprint");
    fingerprint[i] = (uint8_t)byte;
  }
}

static void do_open(char **words, size_t which) {
  require(models[which] == NULL, "open already");
  tinytl_options options = {0};
  options.library = strcmp(words[3], "-") == 0 ? NULL : words[3];
  options.manifest = strcmp(words[4], "-") == 0 ? NULL : words[4];
  options.threads = atoi(words[5]);
  options.xnnpack = (tinytl_xnnpack)atoi(words[6]);
  options.trust = atoi(words[7]) != 0;
  answer(tinytl_open(words[2], &options, &models[which], &error));
}

static void do_info(const tinytl_model *model) {
  const tinytl_info *info = tinytl_get_info(model);
  printf("ok %" PRId32 " %" PRId32 " %" PRId32 " %" PRId32 " %zu %zu %d %d %d ",
         info->height, info->width, info->classes, info->batch_size,
         info->image_bytes, info->state_size, info->task, info->xnnpack,
         info->has_manifest);
  for (size_t i = 0; i < TINYTL_FINGERPRINT_SIZE; i++) {
    printf("%02x", info->fingerprint[i]);
  }
  printf(" %d %" PRId32 " %" PRId32 " %.9g", info->labels != NULL,
         info->outputs, info->spare_classes, (double)info->learning_rate);
}

static void do_settings(const tinytl_model *model) {
  const tinytl_settings *set = &tinytl_get_info(model)->settings;
  printf("ok %a %d %a %" PRIu64 " %d %d %a %a %a %a %d %d", set->learning_rate,
         set->schedule, set->central_fraction, set->split_seed,
         set->split_by_content, set->crop, set->crop_area[0], set->crop_area[1],
         set->crop_aspect[0], set->crop_aspect[1], set->flip, set->color);
}

static void do_array(const tinytl_model *model) {
  const tinytl_info *info = tinytl_get_info(model);
  printf("ok %" PRId32 " %" PRId32 " %" PRId32 " %" PRId32 " %zu %" PRId32,
         info->array_rank, info->array_shape[0], info->array_shape[1],
         info->array_shape[2], info->array_size, info->sample_rate);
}

/* Reads float32 values; `count` gets how many. */
static float *read_floats(const char *path, size_t *count) {
  uint8_t *bytes = read_bytes(path, count);
  *count /= sizeof(float);
  return (float *)(void *)bytes;
}

static void do_infer_array(tinytl_model *model, const char *path) {
  const size_t classes = (size_t)tinytl_get_info(model)->classes;
  size_t size = 0;
  float *array = read_floats(path, &size);
  float *logits = get_memory(classes * sizeof *logits);
  float *probabilities = get_memory(classes * sizeof *logits);
  float *same = get_memory(classes * sizeof *logits);
  const tinytl_status status = tinytl_infer_array(
      model, array, size, logits, probabilities, classes, &error);
  answer(status);
  if (status == TINYTL_OK) {
    print_floats(logits, classes);
    print_floats(probabilities, classes);
  } else {
    require(memcmp(logits, same, classes * sizeof *same) == 0,
            "a failed call wrote a result");
  }
  free(same);
  free(probabilities);
  free(logits);
  free(array);
}

static void do_waveform(const tinytl_model *model, char **words) {
  const size_t size = tinytl_get_info(model)->array_size;
  size_t bytes = 0;
  uint8_t *samples = read_bytes(words[2], &bytes);
  float *array = get_memory(size * sizeof *array);
  const tinytl_status status =
      tinytl_fit_waveform(model, (const int16_t *)(const void *)samples,
                          bytes / 2, atoi(words[3]), array, size, &error);
  answer(status);
  if (status == TINYTL_OK) {
    write_bytes(words[4], array, size * sizeof *array);
  }
  free(array);
  free(samples);
}

static void do_figures(char **words) {
  const size_t outputs = strtoul(words[3], NULL, 10);
  size_t count = 0;
  size_t same = 0;
  float *predictions = read_floats(words[1], &count);
  float *labels = read_floats(words[2], &same);
  require(count == same, "not as many labels as predictions");
  tinytl_regression_figures *figures = get_memory(outputs * sizeof *figures);
  const tinytl_status status = tinytl_evaluate_regression(
      predictions, labels, outputs == 0 ? 0 : count / outputs, outputs, figures,
      &error);
  answer(status);
  for (size_t i = 0; status == TINYTL_OK && i < outputs; i++) {
    printf(" %a %a %a %a", figures[i].absolute_error, figures[i].squared_error,
           figures[i].r2, figures[i].within);
  }
  free(figures);
  free(labels);
  free(predictions);
}

static void do_infer(tinytl_model *model, const char *path) {
  const size_t classes = (size_t)tinytl_get_info(model)->classes;
  size_t size = 0;
  uint8_t *image = read_bytes(path, &size);
  float *logits = get_memory(classes * sizeof *logits);
  float *probabilities = get_memory(classes * sizeof *logits);
  const tinytl_status status =
      tinytl_infer(model, image, size, logits, probabilities, classes, &error);
  answer(status);
  if (status == TINYTL_OK) {
    print_floats(logits, classes);
    print_floats(probabilities, classes);
    /* Each result can be left out. */
    float *again = get_memory(classes * sizeof *logits);
    require(tinytl_infer(model, image, size, NULL, again, classes, NULL) ==
                    TINYTL_OK &&
                tinytl_infer(model, image, size, NULL, NULL, classes, NULL) ==
                    TINYTL_OK &&
                memcmp(again, probabilities, classes * sizeof *again) == 0,
            "two answers differ");
    free(again);
  }
  free(probabilities);
  free(logits);
  free(image);
}

/* Calls the function that trains on images, by the name of the command. */
static tinytl_status train_images(tinytl_model *model, const char *command,
                                  const uint8_t *images, size_t size,
                                  const int32_t *labels, const float *numbers,
                                  size_t count, float rate, tinytl_step *step) {
  if (strcmp(command, "attributes") == 0) {
    return tinytl_train_multilabel(model, images, size, numbers, count, rate,
                                   step, &error);
  }
  if (strcmp(command, "numbers") == 0) {
    return tinytl_train_regression(model, images, size, numbers, count, rate,
                                   step, &error);
  }
  return tinytl_train(model, images, size, labels, count, rate, step, &error);
}

/* The same for arrays. */
static tinytl_status train_arrays(tinytl_model *model, const char *command,
                                  const float *arrays, size_t size,
                                  const int32_t *labels, const float *numbers,
                                  size_t count, float rate, tinytl_step *step) {
  if (strcmp(command, "attributes_arrays") == 0) {
    return tinytl_train_arrays_multilabel(model, arrays, size, numbers, count,
                                          rate, step, &error);
  }
  if (strcmp(command, "numbers_arrays") == 0) {
    return tinytl_train_arrays_regression(model, arrays, size, numbers, count,
                                          rate, step, &error);
  }
  return tinytl_train_arrays(model, arrays, size, labels, count, rate, step,
                             &error);
}

static void do_train(tinytl_model *model, char **words, size_t count) {
  const char *command = words[0];
  size_t size = 0;
  uint8_t *images = read_bytes(words[2], &size);
  const float rate = strtof(words[3], NULL);
  const size_t label_count = count - 4;
  int32_t *labels = get_memory(label_count * sizeof *labels);
  float *numbers = get_memory(label_count * sizeof *numbers);
  for (size_t i = 0; i < label_count; i++) {
    labels[i] = (int32_t)strtol(words[4 + i], NULL, 10);
    numbers[i] = strtof(words[4 + i], NULL);
  }
  tinytl_step step = {-1, -1, false};
  const tinytl_status status =
      strstr(command, "_arrays") != NULL
          ? train_arrays(model, command, (const float *)(const void *)images,
                         size / sizeof(float), labels, numbers, label_count,
                         rate, &step)
          : train_images(model, command, images, size, labels, numbers,
                         label_count, rate, &step);
  answer(status);
  if (status == TINYTL_OK) {
    printf(" %a %a %d", (double)step.loss, (double)step.accuracy, step.applied);
  } else {
    require(step.loss == -1 && step.accuracy == -1 && !step.applied,
            "a failed call wrote a result");
  }
  free(numbers);
  free(labels);
  free(images);
}

static void do_state(tinytl_model *model, const char *path) {
  const size_t count = tinytl_get_info(model)->state_size;
  float *state = get_memory(count * sizeof *state);
  const tinytl_status status = tinytl_get_state(model, state, count, &error);
  answer(status);
  write_bytes(path, state, count * sizeof *state);
  free(state);
}

static void do_set(tinytl_model *model, const char *path) {
  size_t size = 0;
  uint8_t *bytes = read_bytes(path, &size);
  answer(tinytl_set_state(model, (const float *)(const void *)bytes,
                          size / sizeof(float), &error));
  free(bytes);
}

static void do_read(char **words) {
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE];
  read_fingerprint(words[2], fingerprint);
  const size_t count = strtoul(words[3], NULL, 10);
  float *state = get_memory(count * sizeof *state);
  float *other = get_memory(count * sizeof *state);
  char *names = NULL;
  const tinytl_status status =
      tinytl_read_state(words[1], fingerprint, state, count, &names, &error);
  answer(status);
  if (status == TINYTL_OK) {
    print_floats(state, count);
  } else {
    require(memcmp(state, other, count * sizeof *state) == 0 && names == NULL,
            "a refused state was written");
  }
  if (names != NULL) {
    print_hex(names);
  }
  free(names);
  free(other);
  free(state);
}

static void do_write(char **words, size_t count) {
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE];
  read_fingerprint(words[2], fingerprint);
  float *state = get_memory((count - 3) * sizeof *state);
  for (size_t i = 3; i < count; i++) {
    state[i - 3] = strtof(words[i], NULL);
  }
  answer(tinytl_write_state(words[1], fingerprint, state, count - 3, NULL,
                            &error));
  free(state);
}

static void do_named(char **words) {
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE];
  read_fingerprint(words[2], fingerprint);
  size_t size = 0;
  uint8_t *bytes = read_bytes(words[3], &size);
  char *names = get_memory(size + 1);
  memcpy(names, bytes, size);
  names[size] = '\0';
  answer(tinytl_write_state(words[1], fingerprint, NULL, 0, names, &error));
  free(names);
  free(bytes);
}

static void do_churn(char **words) {
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE];
  read_fingerprint(words[2], fingerprint);
  const size_t count = strtoul(words[3], NULL, 10);
  float *state = get_memory(count * sizeof *state);
  printf("ok\n");
  (void)fflush(stdout);
  for (int value = 0;; value = (value + 1) % 1000) {
    for (size_t i = 0; i < count; i++) {
      state[i] = (float)value;
    }
    require(tinytl_write_state(words[1], fingerprint, state, count, NULL,
                               NULL) == TINYTL_OK,
            "cannot write");
  }
}

static void do_digest(const char *path, bool sha256) {
  size_t size = 0;
  uint8_t *bytes = read_bytes(path, &size);
  if (sha256) {
    uint8_t digest[TINYTL_FINGERPRINT_SIZE];
    tinytl_sha256(bytes, size, digest);
    printf("ok ");
    for (size_t i = 0; i < sizeof digest; i++) {
      printf("%02x", digest[i]);
    }
  } else {
    const size_t half = size / 2;
    const uint32_t crc = tinytl_crc32(0, bytes, half);
    printf("ok %08" PRIx32, tinytl_crc32(crc, bytes + half, size - half));
  }
  free(bytes);
}

static void do_names(const char *path) {
  size_t size = 0;
  uint8_t *bytes = read_bytes(path, &size);
  tinytl_description names = {0};
  (void)tinytl_succeed(&error);
  const tinytl_status status = tinytl_parse_description(
      (const char *)bytes, size, "names", &names, &error);
  answer(status);
  if (status == TINYTL_OK) {
    printf(" %ld %ld %d %s %s", names.format_version, names.contract,
           names.xnnpack, names.sha256 == NULL ? "-" : names.sha256,
           names.task == NULL ? "-" : names.task);
    for (size_t i = 0; i < names.label_count; i++) {
      print_hex(names.labels[i]);
    }
  }
  tinytl_free_description(&names);
  free(bytes);
}

static void do_fit(char **words) {
  image source = {NULL, 0, 0};
  const char *problem = image_read_ppm(words[1], &source);
  if (problem != NULL) {
    printf("error PPM %s", problem);
    return;
  }
  const int32_t height = atoi(words[3]);
  const int32_t width = atoi(words[4]);
  const size_t size = (size_t)height * (size_t)width * 3;
  uint8_t *pixels = get_memory(size);
  require(image_fit(&source, strtod(words[2], NULL), height, width, pixels),
          "no memory");
  write_bytes(words[5], pixels, size);
  image_flip(pixels, height, width);
  image_flip(pixels, height, width);
  size_t same = 0;
  uint8_t *before = read_bytes(words[5], &same);
  require(same == size && memcmp(before, pixels, size) == 0,
          "two flips are not none");
  free(before);
  free(pixels);
  free(source.pixels);
  printf("ok");
}

static const char *const kColors[] = {"brightness", "contrast", "saturation",
                                      "hue"};

static color_change color_of(const char *name) {
  size_t color = 0;
  while (color < COLOR_CHANGES && strcmp(name, kColors[color]) != 0) {
    color++;
  }
  require(color < COLOR_CHANGES, "no such color");
  return (color_change)color;
}

static void do_change(char **words) {
  image source = {NULL, 0, 0};
  image shrunk = {NULL, 0, 0};
  require(image_read_ppm(words[1], &source) == NULL, "no PPM");
  const int32_t height = atoi(words[9]);
  const int32_t width = atoi(words[10]);
  const size_t size = (size_t)height * (size_t)width * 3;
  uint8_t *pixels = get_memory(size);
  const image_box part = {strtof(words[2], NULL), strtof(words[3], NULL),
                          strtof(words[4], NULL), strtof(words[5], NULL)};
  require(image_shrink(&source, height, width, &shrunk) &&
              image_resize(&shrunk, &part, height, width, pixels),
          "no memory");
  if (atoi(words[6]) != 0) {
    image_flip(pixels, height, width);
  }
  if (strcmp(words[7], "-") != 0) {
    color_apply(color_of(words[7]), strtod(words[8], NULL), pixels, size / 3);
  }
  write_bytes(words[11], pixels, size);
  if (shrunk.pixels != source.pixels) {
    free(shrunk.pixels);
  }
  free(source.pixels);
  free(pixels);
  printf("ok");
}

static void do_recolor(char **words) {
  size_t size = 0;
  uint8_t *pixels = read_bytes(words[1], &size);
  color_apply(color_of(words[2]), strtod(words[3], NULL), pixels, size / 3);
  write_bytes(words[1], pixels, size);
  free(pixels);
  printf("ok");
}

static void do_order(char **words, bool place) {
  const size_t count = strtoul(words[3], NULL, 10);
  size_t *order = get_memory(count * sizeof *order);
  plan_order(strtoull(words[1], NULL, 10), strtoull(words[2], NULL, 10), order,
             count);
  printf("ok");
  if (place) {
    const plan_place at = plan_at(order, count, strtoul(words[4], NULL, 10));
    printf(" %zu %zu", at.photo, at.copy);
  } else {
    for (size_t i = 0; i < count; i++) {
      printf(" %zu", order[i]);
    }
  }
  free(order);
}

static void do_rate(char **words) {
  tinytl_schedule schedule;
  require(tinytl_find_schedule(words[1], &schedule), "no such schedule");
  printf("ok %a",
         plan_rate(schedule, strtod(words[2], NULL),
                   strtoull(words[3], NULL, 10), strtoull(words[4], NULL, 10)));
}

static void do_draw(char **words) {
  tinytl_settings settings = {
      .crop = atoi(words[7]) != 0,
      .crop_area = {strtod(words[8], NULL), strtod(words[9], NULL)},
      .crop_aspect = {strtod(words[10], NULL), strtod(words[11], NULL)},
      .flip = atoi(words[12]) != 0};
  require(tinytl_find_color(words[13], &settings.color), "no such color");
  const plan_place place = {strtoul(words[3], NULL, 10),
                            strtoul(words[4], NULL, 10)};
  const plan_changes drawn = plan_draw(&settings, strtoull(words[1], NULL, 10),
                                       strtoull(words[2], NULL, 10), place,
                                       atoi(words[5]), atoi(words[6]));
  printf("ok %d %" PRId32 " %" PRId32 " %" PRId32 " %" PRId32 " %d", drawn.crop,
         drawn.box.left, drawn.box.top, drawn.box.width, drawn.box.height,
         drawn.flip);
  for (size_t i = 0; i < drawn.color_count; i++) {
    printf(" %s %a", kColors[drawn.colors[i].change], drawn.colors[i].amount);
  }
}

static void do_command(char **words, size_t count) {
  const char *command = words[0];
  const size_t which = count > 1 && strcmp(words[1], "b") == 0 ? 1 : 0;
  tinytl_model *model = models[which];
  if (strcmp(command, "open") == 0) {
    do_open(words, which);
  } else if (strcmp(command, "close") == 0) {
    tinytl_close(model);
    models[which] = NULL;
    printf("ok");
  } else if (strcmp(command, "info") == 0) {
    do_info(model);
  } else if (strcmp(command, "settings") == 0) {
    do_settings(model);
  } else if (strcmp(command, "label") == 0) {
    printf("ok %s", tinytl_get_info(model)->labels[atoi(words[2])]);
  } else if (strcmp(command, "infer") == 0) {
    do_infer(model, words[2]);
  } else if (strcmp(command, "array") == 0) {
    do_array(model);
  } else if (strcmp(command, "infer_array") == 0) {
    do_infer_array(model, words[2]);
  } else if (strcmp(command, "waveform") == 0) {
    do_waveform(model, words);
  } else if (strcmp(command, "figures") == 0) {
    do_figures(words);
  } else if (strncmp(command, "train", 5) == 0 ||
             strncmp(command, "attributes", 10) == 0 ||
             strncmp(command, "numbers", 7) == 0) {
    do_train(model, words, count);
  } else if (strcmp(command, "state") == 0) {
    do_state(model, words[2]);
  } else if (strcmp(command, "set") == 0) {
    do_set(model, words[2]);
  } else if (strcmp(command, "save") == 0) {
    answer(tinytl_save(model, words[2], &error));
  } else if (strcmp(command, "restore") == 0) {
    answer(tinytl_restore(model, words[2], &error));
  } else if (strcmp(command, "add") == 0) {
    int32_t label = -1;
    const tinytl_status status = tinytl_add_class(
        model, count < 3 ? "" : unhex(words[2]), &label, &error);
    answer(status);
    printf(" %" PRId32, label);
  } else if (strcmp(command, "reset") == 0) {
    answer(tinytl_reset(model, &error));
  } else if (strcmp(command, "read") == 0) {
    do_read(words);
  } else if (strcmp(command, "write") == 0) {
    do_write(words, count);
  } else if (strcmp(command, "move") == 0) {
    answer(
        tinytl_move_state(words[1], words[2], words[3], words[4], &error));
  } else if (strcmp(command, "named") == 0) {
    do_named(words);
  } else if (strcmp(command, "churn") == 0) {
    do_churn(words);
  } else if (strcmp(command, "sha256") == 0) {
    do_digest(words[1], true);
  } else if (strcmp(command, "crc32") == 0) {
    do_digest(words[1], false);
  } else if (strcmp(command, "fit") == 0) {
    do_fit(words);
  } else if (strcmp(command, "change") == 0) {
    do_change(words);
  } else if (strcmp(command, "recolor") == 0) {
    do_recolor(words);
  } else if (strcmp(command, "order") == 0) {
    do_order(words, false);
  } else if (strcmp(command, "place") == 0) {
    do_order(words, true);
  } else if (strcmp(command, "steps") == 0) {
    printf("ok %zu", plan_steps(strtoul(words[1], NULL, 10),
                                strtoul(words[2], NULL, 10)));
  } else if (strcmp(command, "rate") == 0) {
    do_rate(words);
  } else if (strcmp(command, "draw") == 0) {
    do_draw(words);
  } else if (strcmp(command, "names") == 0) {
    do_names(words[1]);
  } else {
    require(false, "no such command");
  }
  printf("\n");
  (void)fflush(stdout);
}

int main(void) {
  static char line[1 << 16];
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *words[MOST_WORDS];
    size_t count = 0;
    for (char *word = strtok(line, " \n"); word != NULL;
         word = strtok(NULL, " \n")) {
      require(count < MOST_WORDS, "too many words");
      words[count++] = word;
    }
    if (count > 0) {
      do_command(words, count);
    }
  }
  tinytl_close(models[0]);
  tinytl_close(models[1]);
  return 0;
}
