/*
 * Accuracy, recall of each class and loss of a model on photos.
 */

#include <math.h>
#include <stdlib.h>

#include "adapt.h"

#define NOTABLE 0.05 /* Difference of the accuracies that is printed. */

/* Returns the cross-entropy of a prediction. */
static double cross_entropy(const float *logits, size_t classes, size_t label) {
  double most = (double)logits[0];
  for (size_t i = 1; i < classes; i++) {
    most = fmax(most, (double)logits[i]);
  }
  double sum = 0;
  for (size_t i = 0; i < classes; i++) {
    sum += exp((double)logits[i] - most);
  }
  return log(sum) - ((double)logits[label] - most);
}

static size_t find_best(const float *logits, size_t classes) {
  size_t best = 0;
  for (size_t i = 1; i < classes; i++) {
    best = logits[i] > logits[best] ? i : best;
  }
  return best;
}

int evaluate(const adapt_run *run, const adapt_photos *photos,
             adapt_figures *figures) {
  const size_t classes = (size_t)run->info->classes;
  *figures = (adapt_figures){.classes = calloc(classes, sizeof(adapt_recall)),
                             .class_count = classes,
                             .noun = inputs_noun(run->info)};
  float *logits = malloc(classes * sizeof *logits);
  void *input = malloc(inputs_bytes(run->info));
  int status = 0;
  if (figures->classes == NULL || logits == NULL || input == NULL) {
    status = complain_memory();
  }
  for (size_t i = 0; status == 0 && i < photos->count; i++) {
    const adapt_photo *photo = &photos->photos[i];
    status = inputs_to_evaluate(run, photo, input);
    if (status == 0) {
      status = inputs_infer(run, input, logits);
    }
    if (status == 0) {
      const size_t label = (size_t)photo->label;
      const bool right = find_best(logits, classes) == label;
      figures->classes[label].images++;
      figures->classes[label].right += right;
      figures->images++;
      figures->right += right;
      figures->loss += cross_entropy(logits, classes, label);
    }
  }
  figures->loss /= (double)photos->count;
  free(input);
  free(logits);
  return status;
}

/* Returns the mean recall of the classes that have images. */
static double balanced_accuracy(const adapt_figures *figures) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < figures->class_count; i++) {
    const adapt_recall *class = &figures->classes[i];
    if (class->images > 0) {
      sum += (double)class->right / (double)class->images;
      count++;
    }
  }
  return sum / (double)count;
}

void figures_say(const adapt_figures *figures, const adapt_classes *classes,
                 const char *when) {
  for (size_t i = 0; i < figures->class_count; i++) {
    const adapt_recall *class = &figures->classes[i];
    if (class->images > 0) {
      say("recall of %s %s: %.1f %% (%zu of %zu)", classes->names[i], when,
          100.0 * (double)class->right / (double)class->images, class->right,
          class->images);
    } else {
      say("recall of %s %s: unknown (no %ss)", classes->names[i], when,
          figures->noun);
    }
  }
  if (isfinite(figures->loss)) {
    say("loss %s: %.4f", when, figures->loss);
  } else {
    say("loss %s: unknown", when);
  }
  const double accuracy = (double)figures->right / (double)figures->images;
  const double balanced = balanced_accuracy(figures);
  if (fabs(accuracy - balanced) > NOTABLE) {
    say("accuracy %s: %.1f %% (%zu of %zu), balanced accuracy %.1f %%", when,
        100 * accuracy, figures->right, figures->images, 100 * balanced);
  } else {
    say("accuracy %s: %.1f %% (%zu of %zu)", when, 100 * accuracy,
        figures->right, figures->images);
  }
}

void figures_free(adapt_figures *figures) {
  free(figures->classes);
  *figures = (adapt_figures){0};
}
