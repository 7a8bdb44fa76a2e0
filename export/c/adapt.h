/*
 * Declarations of the program `adapt`.
 */

#ifndef TINYTL_ADAPT_H
#define TINYTL_ADAPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "tinytl.h"

/* Exit statuses. */
#define BAD_OUTPUT 1
#define BAD_INPUT 2
#define DIVERGED 4

/* ---- Messages for the user: adapt_report.c ---- */

/*
 * Makes the program independent of its standard streams: opens closed streams,
 * so that no other file takes their place, and ignores signals of streams that
 * cannot be written.
 */
void report_start(void);

/* Prints a line to the standard output; drops lines that cannot be written. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* Prints a warning to the standard error. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/* Prints an error to the standard error. Returns the status. */
__attribute__((format(printf, 2, 3))) int complain(int status,
                                                   const char *format, ...);

/* Reports that there is not enough memory. Returns the status. */
int complain_memory(void);

/* ---- Options: adapt_options.c ---- */

/* Whether a switch of the manifest is overridden by the user. */
typedef enum { AS_EXPORTED = 0, OFF, ON } adapt_switch;

/* Options of the user that override the manifest. */
typedef struct {
  bool has_rate, has_schedule, has_fraction, has_color, has_split_seed;
  adapt_switch crop, flip;
  tinytl_settings values;
} adapt_overrides;

typedef struct {
  const char *model, *data, *state_out, *state_in;
  const char *labels; /* Separated by commas, or NULL. */
  bool overwrite, strict;
  uint64_t epochs, seed;
  tinytl_options open;
  adapt_overrides over;
} adapt_options;

/* Reads the command line. Returns 0, or the status after an error. */
int options_parse(int count, char **arguments, adapt_options *options);

/* Refuses options for images if the model takes arrays. Returns 0,
   or the status after an error. */
int options_check(const adapt_options *options, const tinytl_info *info);

/* Overrides the manifest's settings with the user's options. */
void options_override(const adapt_options *options, tinytl_settings *settings);

/* ---- The state file to be written: adapt_output.c ---- */

/* A path that only this process writes; all zeros without a path. */
typedef struct {
  char *lock; /* Path of the lock file. */
  int file;
} adapt_output;

/*
 * Acquires the lock of a path for the run, and checks that the path can be
 * written. Returns 0, or the status after an error.
 */
int output_open(const char *path, bool overwrite, adapt_output *output);

/* Checks that the disk has room for a state file of so many bytes. */
int output_reserve(const adapt_output *output, const char *path, size_t bytes);

void output_close(adapt_output *output);

/* ---- Names of the classes: adapt_classes.c ---- */

typedef struct {
  char **names; /* By label. */
  size_t count;
  char ***sorted; /* Pointers to `names`, in alphabetical order. */
} adapt_classes;

/*
 * Finds the names: those of the user, those of the model, or the names of the
 * folders in `folder`. Returns 0, or the status after an error.
 */
int classes_find(const adapt_options *options, const tinytl_info *info,
                 const char *folder, adapt_classes *classes);

/* Returns the label of a name, or -1. */
int32_t classes_label(const adapt_classes *classes, const char *name);

void classes_free(adapt_classes *classes);

/* ---- Photos, or arrays: adapt_photos.c ---- */

/* A file of a photo or of an array. */
typedef struct {
  char *path;
  int32_t label;
  uint8_t digest[TINYTL_FINGERPRINT_SIZE]; /* SHA-256 of its bytes. */
} adapt_photo;

typedef struct {
  adapt_photo *photos;
  size_t count;
  size_t room;
} adapt_photos;

/* Joins a folder and a name; returns a path to be freed, or NULL. */
char *photos_join(const char *folder, const char *name);

bool photos_is_folder(const char *path);

/*
 * Calls `use` in alphabetical order with the name of each entry of a folder
 * that is not hidden, until it returns a status that is not 0. Returns that
 * status, or the status after an error.
 */
int photos_each(const char *folder,
                int (*use)(const char *folder, const char *name, void *context),
                void *context);

/*
 * Lists and checks the photos in the folders of classes in `folder`. Returns 0,
 * or the status after an error.
 */
int photos_list(const char *folder, const adapt_classes *classes,
                const tinytl_info *info, adapt_photos *photos);

/* Returns the number of photos of each of `classes` classes, to be freed. */
size_t *photos_by_class(const adapt_photos *photos, size_t classes);

/* Whether a photo is a .raw file, which has the model's input unchanged. */
bool photos_is_raw(const adapt_photo *photo);

void photos_free(adapt_photos *photos);

/* ---- Training photos and test photos: adapt_split.c ---- */

typedef struct {
  adapt_photos train;
  adapt_photos test; /* Can be empty. */
} adapt_split;

/*
 * Finds the photos in train/ and test/ of --data, or holds out some of the
 * photos in the folders of classes; reports their numbers. Returns 0, or the
 * status after an error.
 */
int split_find(const adapt_options *options, const tinytl_settings *settings,
               const tinytl_info *info, adapt_classes *classes,
               adapt_split *split);

void split_free(adapt_split *split);

/* ---- From a photo to the model's input: adapt_pixels.c ---- */

/* Reads a photo for an evaluation. Returns 0, or the status after an error. */
int pixels_to_evaluate(const adapt_photo *photo, const tinytl_info *info,
                       const tinytl_settings *settings, uint8_t *pixels);

/* Reads a photo for a training step, with the changes of an epoch. */
int pixels_to_train(const adapt_photo *photo, const tinytl_info *info,
                    const tinytl_settings *settings, uint64_t seed,
                    uint64_t epoch, plan_place place, uint8_t *pixels);

/* ---- Inputs of the model: adapt_inputs.c ---- */

/* The model, the data and the settings of a training. */
typedef struct {
  tinytl_model *model;
  const tinytl_info *info;
  const tinytl_settings *settings;
  uint64_t epochs;
  uint64_t seed;
} adapt_run;

/* Returns "image" or "array" for messages. */
const char *inputs_noun(const tinytl_info *info);

/* Returns the size of one input in memory in bytes. */
size_t inputs_bytes(const tinytl_info *info);

/* Checks a file without keeping its content, and computes its digest. Returns
   0, or the status after an error; so do those below. */
int inputs_check(adapt_photo *photo, const tinytl_info *info);

/* Reads a file for an evaluation. */
int inputs_to_evaluate(const adapt_run *run, const adapt_photo *photo,
                       void *input);

/* Reads a file for a training step, with the changes of an epoch. */
int inputs_to_train(const adapt_run *run, const adapt_photo *photo,
                    uint64_t epoch, plan_place place, void *input);

/* Runs inference on one input; `logits` has room for the classes in use. */
int inputs_infer(const adapt_run *run, const void *input, float *logits);

/* Takes a training step. */
int inputs_train(const adapt_run *run, const void *batch, const int32_t *labels,
                 double rate, tinytl_step *step);

/* ---- Evaluation: adapt_evaluation.c ---- */

/* Counts of the predictions for the photos of a class. */
typedef struct {
  size_t images;
  size_t right;
} adapt_recall;

typedef struct {
  adapt_recall *classes; /* Counts of each class in use; owned. */
  size_t class_count;
  size_t images;
  size_t right;
  double loss;      /* Mean cross-entropy; not finite if a logit is not. */
  const char *noun; /* See inputs_noun(). */
} adapt_figures;

/* Evaluates the model on photos, at least one. */
int evaluate(const adapt_run *run, const adapt_photos *photos,
             adapt_figures *figures);

/* Prints figures; `when` is "before" or "after". */
void figures_say(const adapt_figures *figures, const adapt_classes *classes,
                 const char *when);

void figures_free(adapt_figures *figures);

/* ---- Training: adapt_training.c ---- */

/* Losses for the divergence check of a run without test photos. */
typedef struct {
  double first; /* Loss of the first step. */
  double last;  /* Mean loss of the applied steps of the last epoch. */
} adapt_losses;

/* Trains the model on photos. Returns 0, or the status after an error. */
int train(const adapt_run *run, const adapt_photos *photos,
          adapt_losses *losses);

/*
 * If the training has diverged, reports it and returns DIVERGED; otherwise
 * returns 0. `what` describes the photos of the losses.
 */
int check_divergence(double before, double after, size_t classes,
                     const char *what);

#endif /* TINYTL_ADAPT_H */
