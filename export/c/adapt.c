/*
 * Trains an exported model on a folder of images and saves its state.
 *
 *   adapt --model=model.tflite --data=photos --state_out=mine.tinytl
 *
 * `photos` has one folder of images for each class, of which some are held out
 * to test; or such folders in `train` and `test`. Images are PPM files (P6) of
 * any size, or `.raw` files of height x width x 3 bytes. For a model of arrays,
 * the data are `.raw` files of float32 values. Files are read when they are
 * needed, so that memory does not grow with their number.
 *
 * Order and changes of the images follow the plan in docs/formats.md, which is
 * the same in all clients. By default the augmentation and the learning rate
 * are those of the model's manifest.
 *
 * Exit status: 0; 1 if results cannot be written; 2 if the input is invalid; 4
 * if the training diverges. A new state file is written only with status 0.
 */

#include "adapt.h"

#include <string.h>

#define HEADER_BYTES 64 /* At least those of a state file. */

/* Everything that must be freed. */
typedef struct {
  adapt_options options;
  adapt_output output;
  tinytl_model *model;
  adapt_classes classes;
  adapt_split split;
  adapt_figures before;
  adapt_figures after;
} program;

/* Opens the model and restores the state to start from. */
static int open_model(program *all) {
  const adapt_options *options = &all->options;
  tinytl_error error;
  if (tinytl_open(options->model, &options->open, &all->model, &error) !=
      TINYTL_OK) {
    return complain(BAD_INPUT, "%s", error.text);
  }
  const tinytl_info *info = tinytl_get_info(all->model);
  if (info->task != TINYTL_TASK_CLASSIFICATION) {
    return complain(
        BAD_INPUT,
        "expected a model for one class of each %s, got one for %s, which "
        "folders of classes cannot represent; use `tinytl adapt`",
        inputs_noun(info),
        info->task == TINYTL_TASK_MULTILABEL ? "several attributes"
                                             : "numbers");
  }
  const int status = options_check(options, info);
  if (status != 0) {
    return status;
  }
  if (options->state_in != NULL &&
      tinytl_restore(all->model, options->state_in, &error) != TINYTL_OK) {
    return complain(BAD_INPUT, "%s", error.text);
  }
  return 0;
}

static void say_settings(const tinytl_settings *settings, bool images) {
  static const char *const kColors[] = {[TINYTL_COLOR_NONE] = "none",
                                        [TINYTL_COLOR_TF] = "tf",
                                        [TINYTL_COLOR_TORCH] = "torch"};
  if (images) {
    say("central fraction %g, %s, %s, color %s", settings->central_fraction,
        settings->crop ? "crop" : "no crop",
        settings->flip ? "flip" : "no flip", kColors[settings->color]);
  }
  say("learning rate %g, %s", settings->learning_rate,
      settings->schedule == TINYTL_SCHEDULE_CONSTANT ? "constant" : "cosine");
}

/* Returns an upper bound of the size of the state file in bytes. */
static size_t state_bytes(const tinytl_info *info) {
  size_t bytes = HEADER_BYTES + info->state_size * sizeof(float);
  for (int32_t i = 0; info->labels != NULL && i < info->classes; i++) {
    bytes += strlen(info->labels[i]) + 1;
  }
  return bytes;
}

/* Trains; if there are test photos, evaluates before and after. */
static int train_and_test(program *all, const tinytl_settings *settings) {
  const adapt_run run = {all->model, tinytl_get_info(all->model), settings,
                         all->options.epochs, all->options.seed};
  const adapt_photos *test = &all->split.test;
  const bool tests = test->count > 0;
  adapt_losses losses = {0, 0};
  int status = tests ? evaluate(&run, test, &all->before) : 0;
  if (status == 0 && tests) {
    figures_say(&all->before, &all->classes, "before");
  }
  if (status == 0) {
    say_settings(settings, run.info->array_size == 0);
    status = train(&run, &all->split.train, &losses);
  }
  if (status == 0 && tests) {
    status = evaluate(&run, test, &all->after);
  }
  if (status == 0 && tests) {
    figures_say(&all->after, &all->classes, "after");
    return check_divergence(
        all->before.loss, all->after.loss, all->classes.count,
        run.info->array_size > 0 ? "on the test arrays" : "on the test images");
  }
  return status == 0 ? check_divergence(losses.first, losses.last,
                                        all->classes.count, "in the last epoch")
                     : status;
}

static int adapt(program *all) {
  const adapt_options *options = &all->options;
  int status =
      output_open(options->state_out, options->overwrite, &all->output);
  if (status == 0) {
    status = open_model(all);
  }
  if (status != 0) {
    return status;
  }
  const tinytl_info *info = tinytl_get_info(all->model);
  tinytl_settings settings = info->settings;
  options_override(options, &settings);
  status = output_reserve(&all->output, options->state_out, state_bytes(info));
  if (status == 0) {
    status = split_find(options, &settings, info, &all->classes, &all->split);
  }
  if (status == 0) {
    status = train_and_test(all, &settings);
  }
  tinytl_error error;
  if (status == 0 &&
      tinytl_save(all->model, options->state_out, &error) != TINYTL_OK) {
    return complain(BAD_OUTPUT, "%s", error.text);
  }
  if (status == 0) {
    say("wrote %s", options->state_out);
  }
  return status;
}

int main(int count, char **arguments) {
  program all = {.output = {NULL, -1}};
  report_start();
  int status = options_parse(count, arguments, &all.options);
  if (status == 0) {
    status = adapt(&all);
  }
  tinytl_close(all.model);
  output_close(&all.output);
  classes_free(&all.classes);
  split_free(&all.split);
  figures_free(&all.before);
  figures_free(&all.after);
  return status;
}
