/*
 * Trains an exported model on a folder of images and saves what it learnt.
 *
 *   adapt --model=model.tflite --data=photos --state_out=mine.tinytl
 *
 * `photos` has one folder of images for each class, or such folders in `train`
 * and `test`. Images are PPM files (P6) of any size, or `.raw` files of height
 * x width x 3 bytes. They are read when they are needed, so that memory does
 * not grow with their number.
 *
 * Each epoch has another order, drawn from the seed; images that fill no batch
 * are left out of it. Images are not changed but for --flip.
 *
 * Ends with 0; 1 where results cannot be written; 2 where something that was
 * given is wrong; 4 where training leads to numbers that are not finite.
 */

#define _DEFAULT_SOURCE /* scandir() in C11. */

#include <dirent.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "tinytl.h"

#define BAD_OUTPUT 1
#define BAD_INPUT 2
#define DIVERGED 4
#define PATH_SIZE 4096
#define MOST_CLASSES 4096
#define RATE_OF_MODEL (-1)
#define PI 3.14159265358979323846

static const char kUsage[] =
    "usage: adapt --model=FILE --data=DIR --state_out=FILE [options]\n"
    "  --model=FILE          the exported .tflite\n"
    "  --data=DIR            a folder of images for each class, or train/ and\n"
    "                        test/ with such folders\n"
    "  --state_out=FILE      the state file to write\n"
    "  --state_in=FILE       a state file to start from\n"
    "  --overwrite           replace --state_out if it is there\n"
    "  --epochs=5            passes over the training images\n"
    "  --learning_rate=RATE  of the first step; default: what the model's\n"
    "                        manifest says, or 1e-3\n"
    "  --schedule=cosine     or constant\n"
    "  --seed=0              of the order of the images, and of --flip\n"
    "  --flip                mirror half of the training images\n"
    "  --central_fraction=0.875  part of an image's side that is used\n"
    "  --labels=A,B,C        names of the classes, in the order of the "
    "outputs;\n"
    "                        default: those in the model, else the sorted "
    "names\n"
    "                        of the folders\n"
    "  --trust               take a model that has no manifest\n"
    "  --library=FILE        libLiteRt.so\n"
    "  --threads=2           threads of LiteRT's kernels\n"
    "  --xnnpack=MODE        on, off or as_exported (the default)\n";

typedef struct {
  const char *model, *data, *state_out, *state_in, *labels;
  bool overwrite, flip, constant;
  long epochs, seed;
  double learning_rate, central_fraction;
  tinytl_options open;
} settings;

/* An image file; the path is owned. */
typedef struct {
  char *path;
  int32_t label;
} photo;

typedef struct {
  photo *photos;
  size_t count;
  size_t room;
} photo_list;

/* All that has to be freed. */
typedef struct {
  settings set;
  tinytl_model *model;
  const tinytl_info *info;
  char **names; /* Of the classes; owned, each with its own memory. */
  size_t name_count;
  photo_list train;
  photo_list test;
  size_t *order;
  uint8_t *pixels; /* Of a batch. */
  int32_t *labels;
} program;

/* Prints one line and returns the status to end with. */
__attribute__((format(printf, 2, 3))) static int complain(int status,
                                                          const char *format,
                                                          ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fputs("adapt: ", stderr);
  (void)vfprintf(stderr, format, arguments);
  (void)fputc('\n', stderr);
  va_end(arguments);
  return status;
}

static int no_memory(void) {
  return complain(BAD_INPUT,
                  "there is not enough memory; close other programs");
}

/* ---- Settings ---- */

/* Returns what follows `--name=`, or NULL where this is another argument. */
static const char *value_of(const char *argument, const char *name) {
  const size_t length = strlen(name);
  if (strncmp(argument, "--", 2) == 0 &&
      strncmp(argument + 2, name, length) == 0 && argument[2 + length] == '=') {
    return argument + 3 + length;
  }
  return NULL;
}

static bool parse_whole(const char *text, long least, long most, long *value) {
  char *end = NULL;
  errno = 0;
  *value = strtol(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *value >= least &&
         *value <= most;
}

static bool parse_number(const char *text, double least, double most,
                         double *value) {
  char *end = NULL;
  *value = strtod(text, &end);
  return end != text && *end == '\0' && *value >= least && *value <= most;
}

static bool parse_argument(const char *argument, settings *set) {
  const char *value;
  long whole = 0;
  if (strcmp(argument, "--overwrite") == 0) {
    set->overwrite = true;
  } else if (strcmp(argument, "--flip") == 0) {
    set->flip = true;
  } else if (strcmp(argument, "--trust") == 0) {
    set->open.trust = true;
  } else if ((value = value_of(argument, "model")) != NULL) {
    set->model = value;
  } else if ((value = value_of(argument, "data")) != NULL) {
    set->data = value;
  } else if ((value = value_of(argument, "state_out")) != NULL) {
    set->state_out = value;
  } else if ((value = value_of(argument, "state_in")) != NULL) {
    set->state_in = value;
  } else if ((value = value_of(argument, "labels")) != NULL) {
    set->labels = value;
  } else if ((value = value_of(argument, "library")) != NULL) {
    set->open.library = value;
  } else if ((value = value_of(argument, "epochs")) != NULL) {
    return parse_whole(value, 1, 1000000, &set->epochs);
  } else if ((value = value_of(argument, "seed")) != NULL) {
    return parse_whole(value, 0, 2147483647, &set->seed);
  } else if ((value = value_of(argument, "threads")) != NULL) {
    const bool good = parse_whole(value, 1, 64, &whole);
    set->open.threads = (int)whole;
    return good;
  } else if ((value = value_of(argument, "learning_rate")) != NULL) {
    return parse_number(value, 0, FLT_MAX, &set->learning_rate);
  } else if ((value = value_of(argument, "central_fraction")) != NULL) {
    return parse_number(value, 0.01, 1, &set->central_fraction);
  } else if ((value = value_of(argument, "schedule")) != NULL) {
    set->constant = strcmp(value, "constant") == 0;
    return set->constant || strcmp(value, "cosine") == 0;
  } else if ((value = value_of(argument, "xnnpack")) != NULL) {
    set->open.xnnpack = strcmp(value, "on") == 0 ? TINYTL_XNNPACK_ON
                        : strcmp(value, "off") == 0
                            ? TINYTL_XNNPACK_OFF
                            : TINYTL_XNNPACK_AS_EXPORTED;
    return set->open.xnnpack != TINYTL_XNNPACK_AS_EXPORTED ||
           strcmp(value, "as_exported") == 0;
  } else {
    return false;
  }
  return true;
}

static int parse_arguments(int count, char **arguments, settings *set) {
  *set = (settings){
      .epochs = 5, .learning_rate = RATE_OF_MODEL, .central_fraction = 0.875};
  for (int i = 1; i < count; i++) {
    if (!parse_argument(arguments[i], set)) {
      (void)fputs(kUsage, stderr);
      return complain(BAD_INPUT,
                      "expected the options above and values in their range, "
                      "got %s",
                      arguments[i]);
    }
  }
  if (set->model == NULL || set->data == NULL || set->state_out == NULL) {
    (void)fputs(kUsage, stderr);
    return complain(BAD_INPUT,
                    "expected --model, --data and --state_out, got fewer");
  }
  if (!set->overwrite && access(set->state_out, F_OK) == 0) {
    return complain(BAD_INPUT,
                    "%s exists already; choose another path, or give "
                    "--overwrite to replace it",
                    set->state_out);
  }
  return 0;
}

/* ---- Classes and images ---- */

/* Adds a name; returns whether there was memory. */
static bool add_name(program *run, const char *name, size_t length) {
  char *copy = malloc(length + 1);
  if (copy == NULL) {
    return false;
  }
  memcpy(copy, name, length);
  copy[length] = '\0';
  run->names[run->name_count++] = copy;
  return true;
}

static bool is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static int not_hidden(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* Joins two parts of a path; returns whether the result has room. */
static bool join(char result[PATH_SIZE], const char *folder, const char *name) {
  const int length = snprintf(result, PATH_SIZE, "%s/%s", folder, name);
  return length >= 0 && length < PATH_SIZE;
}

/* Lists a folder, sorted; says what is wrong and returns -1 if it cannot. */
static int list_folder(const char *folder, struct dirent ***entries) {
  const int count = scandir(folder, entries, not_hidden, alphasort);
  if (count < 0) {
    complain(BAD_INPUT, "expected a folder at %s, got: %s", folder,
             strerror(errno));
  }
  return count;
}

/* Names of the folders in a folder, sorted. */
static int name_folders(program *run, const char *folder) {
  struct dirent **entries = NULL;
  const int count = list_folder(folder, &entries);
  if (count < 0) {
    return BAD_INPUT;
  }
  int status = 0;
  for (int i = 0; i < count; i++) {
    char path[PATH_SIZE];
    const char *name = entries[i]->d_name;
    if (status == 0 && join(path, folder, name) && is_folder(path) &&
        run->name_count < MOST_CLASSES && !add_name(run, name, strlen(name))) {
      status = no_memory();
    }
    free(entries[i]);
  }
  free(entries);
  return status;
}

/* Finds the names of the classes: given, of the model, or of the folders. */
static int find_names(program *run, const char *folder) {
  const size_t classes = (size_t)run->info->classes;
  run->names = calloc(MOST_CLASSES, sizeof *run->names);
  if (run->names == NULL) {
    return no_memory();
  }
  const char *source = "--labels";
  int status = 0;
  if (run->set.labels != NULL) {
    const char *start = run->set.labels;
    while (status == 0 && run->name_count < MOST_CLASSES) {
      const size_t length = strcspn(start, ",");
      if (!add_name(run, start, length)) {
        status = no_memory();
      }
      if (start[length] == '\0') {
        break;
      }
      start += length + 1;
    }
  } else if (run->info->labels != NULL) {
    source = "the model";
    for (size_t i = 0; i < classes && i < MOST_CLASSES && status == 0; i++) {
      const char *label = run->info->labels[i];
      if (!add_name(run, label, strlen(label))) {
        status = no_memory();
      }
    }
  } else {
    source = "the names of the folders";
    status = name_folders(run, folder);
  }
  if (status == 0 && run->name_count != classes) {
    return complain(BAD_INPUT,
                    "expected %zu classes, got %zu from %s; give --labels with "
                    "a name for each output",
                    classes, run->name_count, source);
  }
  return status;
}

static bool ends_with(const char *text, const char *end) {
  const size_t length = strlen(text);
  const size_t tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool add_photo(photo_list *list, const char *path, int32_t label) {
  if (list->count == list->room) {
    const size_t room = list->room == 0 ? 64 : 2 * list->room;
    photo *photos = realloc(list->photos, room * sizeof *photos);
    if (photos == NULL) {
      return false;
    }
    list->photos = photos;
    list->room = room;
  }
  char *copy = strdup(path);
  if (copy == NULL) {
    return false;
  }
  list->photos[list->count++] = (photo){copy, label};
  return true;
}

/* Lists the images of one class. */
static int list_class(const char *folder, int32_t label, photo_list *list) {
  struct dirent **entries = NULL;
  const int count = list_folder(folder, &entries);
  if (count < 0) {
    return BAD_INPUT;
  }
  int status = 0;
  for (int i = 0; i < count; i++) {
    char path[PATH_SIZE];
    const char *name = entries[i]->d_name;
    if (status != 0) {
      /* The rest is only freed. */
    } else if (!ends_with(name, ".ppm") && !ends_with(name, ".raw")) {
      status = complain(BAD_INPUT,
                        "expected .ppm or .raw files in %s, got %s; convert "
                        "it, or move it away",
                        folder, name);
    } else if (!join(path, folder, name)) {
      status = complain(BAD_INPUT, "the path of %s is too long", name);
    } else if (!add_photo(list, path, label)) {
      status = no_memory();
    }
    free(entries[i]);
  }
  free(entries);
  return status;
}

/* Lists the images of all classes, matched by the names of their folders. */
static int list_photos(const program *run, const char *folder,
                       photo_list *list) {
  struct dirent **entries = NULL;
  const int count = scandir(folder, &entries, not_hidden, alphasort);
  if (count < 0) {
    return complain(BAD_INPUT, "expected a folder at %s, got: %s", folder,
                    strerror(errno));
  }
  int status = 0;
  for (int i = 0; i < count; i++) {
    char path[PATH_SIZE];
    const char *name = entries[i]->d_name;
    size_t label = 0;
    while (label < run->name_count && strcmp(run->names[label], name) != 0) {
      label++;
    }
    if (status != 0) {
      /* The rest is only freed. */
    } else if (!join(path, folder, name)) {
      status = complain(BAD_INPUT, "the path of %s is too long", name);
    } else if (!is_folder(path)) {
      status = complain(BAD_INPUT,
                        "expected folders of classes in %s, got the file %s; "
                        "move it away",
                        folder, name);
    } else if (label == run->name_count) {
      status = complain(BAD_INPUT,
                        "the model has no class %s (folder %s); rename the "
                        "folder, or give --labels",
                        name, path);
    } else {
      status = list_class(path, (int32_t)label, list);
    }
    free(entries[i]);
  }
  free(entries);
  if (status == 0 && list->count == 0) {
    return complain(BAD_INPUT, "expected images in %s, got none", folder);
  }
  return status;
}

/* Lists the images; the test images are the training images where there are no
   others. */
static int find_photos(program *run) {
  char train[PATH_SIZE];
  char test[PATH_SIZE];
  if (!join(train, run->set.data, "train") ||
      !join(test, run->set.data, "test")) {
    return complain(BAD_INPUT, "the path of --data is too long");
  }
  const bool split = is_folder(train);
  const char *folder = split ? train : run->set.data;
  int status = find_names(run, folder);
  if (status == 0) {
    status = list_photos(run, folder, &run->train);
  }
  if (status == 0 && split && is_folder(test)) {
    status = list_photos(run, test, &run->test);
  }
  if (status != 0) {
    return status;
  }
  for (size_t class = 0; class < run->name_count; class ++) {
    size_t count = 0;
    for (size_t i = 0; i < run->train.count; i++) {
      count += run->train.photos[i].label == (int32_t) class;
    }
    printf("class %zu: %s, %zu images\n", class, run->names[class], count);
  }
  if (run->test.count > 0) {
    printf("%zu images to train, %zu to test\n", run->train.count,
           run->test.count);
  } else {
    printf("%zu images to train; without test/ they are tested too\n",
           run->train.count);
  }
  return 0;
}

/* Reads an image as the model's input. */
static int read_photo(const program *run, const photo *file, uint8_t *pixels) {
  const tinytl_info *info = run->info;
  const char *problem = NULL;
  if (ends_with(file->path, ".raw")) {
    problem = image_read_raw(file->path, pixels, info->image_bytes);
  } else {
    image source = {NULL, 0, 0};
    problem = image_read_ppm(file->path, &source);
    if (problem == NULL && !image_fit(&source, run->set.central_fraction,
                                      info->height, info->width, pixels)) {
      problem = "there is not enough memory";
    }
    free(source.pixels);
  }
  if (problem != NULL) {
    return complain(BAD_INPUT,
                    "cannot read %s: %s; convert it again, or move "
                    "it away",
                    file->path, problem);
  }
  return 0;
}

/* ---- Training ---- */

/* Prints the share of the test images that are classified right. */
static int evaluate(const program *run, const char *when) {
  const photo_list *list = run->test.count > 0 ? &run->test : &run->train;
  const size_t classes = (size_t)run->info->classes;
  float *scores = malloc(classes * sizeof *scores);
  if (scores == NULL) {
    return no_memory();
  }
  size_t right = 0;
  int status = 0;
  for (size_t i = 0; status == 0 && i < list->count; i++) {
    tinytl_error error;
    status = read_photo(run, &list->photos[i], run->pixels);
    if (status == 0 &&
        tinytl_infer(run->model, run->pixels, run->info->image_bytes, scores,
                     NULL, classes, &error) != TINYTL_OK) {
      status = complain(BAD_INPUT, "%s", error.text);
    }
    size_t best = 0;
    for (size_t class = 1; status == 0 && class < classes; class ++) {
      best = scores[class] > scores[best] ? class : best;
    }
    right += status == 0 && (int32_t)best == list->photos[i].label;
  }
  free(scores);
  if (status == 0) {
    printf("accuracy %s: %.1f %% (%zu of %zu)\n", when,
           100.0 * (double)right / (double)list->count, right, list->count);
    (void)fflush(stdout);
  }
  return status;
}

/* splitmix64: small, and the same on every machine. */
static uint64_t next_random(uint64_t *seed) {
  uint64_t z = (*seed += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

/* Draws a new order of the training images. */
static void shuffle(program *run, uint64_t *seed) {
  for (size_t i = 0; i < run->train.count; i++) {
    run->order[i] = i;
  }
  for (size_t i = run->train.count; i > 1; i--) {
    /* The remainder prefers some numbers by 2^-64 times their count. */
    const size_t other = (size_t)(next_random(seed) % i);
    const size_t moved = run->order[i - 1];
    run->order[i - 1] = run->order[other];
    run->order[other] = moved;
  }
}

/* Reads the batch that begins at `start` of the order. */
static int read_batch(program *run, size_t start, uint64_t *seed) {
  const tinytl_info *info = run->info;
  for (size_t i = 0; i < (size_t)info->batch_size; i++) {
    /* Fewer images than a batch are repeated. */
    const size_t place = run->order[(start + i) % run->train.count];
    const photo *file = &run->train.photos[place];
    uint8_t *pixels = run->pixels + i * info->image_bytes;
    const int status = read_photo(run, file, pixels);
    if (status != 0) {
      return status;
    }
    if (run->set.flip && next_random(seed) >> 63 != 0) {
      image_flip(pixels, info->height, info->width);
    }
    run->labels[i] = file->label;
  }
  return 0;
}

static int train(program *run) {
  const tinytl_info *info = run->info;
  const size_t batch = (size_t)info->batch_size;
  const size_t steps = run->train.count < batch ? 1 : run->train.count / batch;
  const double all_steps = (double)steps * (double)run->set.epochs;
  printf("learning rate %g, %s\n", run->set.learning_rate,
         run->set.constant ? "constant" : "cosine");
  size_t step = 0;
  for (long epoch = 0; epoch < run->set.epochs; epoch++) {
    uint64_t seed = (uint64_t)run->set.seed << 32 ^ (uint64_t)epoch;
    double loss = 0;
    size_t applied = 0;
    shuffle(run, &seed);
    for (size_t i = 0; i < steps; i++, step++) {
      const double part =
          run->set.constant ? 1 : (1 + cos(PI * (double)step / all_steps)) / 2;
      tinytl_step result;
      tinytl_error error;
      const int status = read_batch(run, i * batch, &seed);
      if (status != 0) {
        return status;
      }
      if (tinytl_train(run->model, run->pixels, batch * info->image_bytes,
                       run->labels, batch,
                       (float)(run->set.learning_rate * part), &result,
                       &error) != TINYTL_OK) {
        return complain(BAD_INPUT, "%s", error.text);
      }
      if (result.applied) {
        loss += (double)result.loss;
        applied++;
      }
    }
    if (applied == 0) {
      return complain(DIVERGED,
                      "no step of epoch %ld could be applied, since loss or "
                      "gradients were not finite; nothing is saved: give a "
                      "lower --learning_rate",
                      epoch + 1);
    }
    printf("epoch %ld of %ld: loss %.4f, %zu of %zu steps applied\n", epoch + 1,
           run->set.epochs, loss / (double)applied, applied, steps);
    (void)fflush(stdout);
  }
  return 0;
}

/* ---- The program ---- */

static int adapt(program *run) {
  tinytl_error error;
  if (tinytl_open(run->set.model, &run->set.open, &run->model, &error) !=
      TINYTL_OK) {
    return complain(BAD_INPUT, "%s", error.text);
  }
  run->info = tinytl_get_info(run->model);
  if (run->info->multilabel) {
    return complain(BAD_INPUT,
                    "the model is for several attributes of an image, expected "
                    "one class for each; folders cannot say more");
  }
  if (run->set.learning_rate < 0) {
    run->set.learning_rate = (double)run->info->learning_rate;
  }
  /* First, since a state can have classes that were added. */
  if (run->set.state_in != NULL &&
      tinytl_restore(run->model, run->set.state_in, &error) != TINYTL_OK) {
    return complain(BAD_INPUT, "%s", error.text);
  }
  int status = find_photos(run);
  if (status != 0) {
    return status;
  }
  const size_t batch = (size_t)run->info->batch_size;
  run->order = malloc(run->train.count * sizeof *run->order);
  run->pixels = malloc(batch * run->info->image_bytes);
  run->labels = malloc(batch * sizeof *run->labels);
  if (run->order == NULL || run->pixels == NULL || run->labels == NULL) {
    return no_memory();
  }
  status = evaluate(run, "before");
  if (status == 0) {
    status = train(run);
  }
  if (status == 0) {
    status = evaluate(run, "after");
  }
  if (status == 0 &&
      tinytl_save(run->model, run->set.state_out, &error) != TINYTL_OK) {
    return complain(BAD_OUTPUT, "%s", error.text);
  }
  if (status == 0) {
    printf("wrote %s\n", run->set.state_out);
  }
  return status;
}

static void free_photos(photo_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->photos[i].path);
  }
  free(list->photos);
}

int main(int count, char **arguments) {
  program run = {0};
  int status = parse_arguments(count, arguments, &run.set);
  if (status == 0) {
    status = adapt(&run);
  }
  tinytl_close(run.model);
  free_photos(&run.train);
  free_photos(&run.test);
  for (size_t i = 0; i < run.name_count; i++) {
    free(run.names[i]);
  }
  free(run.names);
  free(run.order);
  free(run.pixels);
  free(run.labels);
  if (fflush(stdout) != 0 && status == 0) {
    status = complain(BAD_OUTPUT, "cannot write to the standard output");
  }
  return status;
}
