/*
 * Messages for the user. Printing never stops a training: lines that cannot be
 * written are dropped.
 */

#define _DEFAULT_SOURCE /* sigaction() in C11. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapt.h"

#define LINE_SIZE 16384 /* Two paths fit. */

void report_start(void) {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
    if (fcntl(stream, F_GETFD) < 0 && errno == EBADF) {
      /* open() returns the lowest free number, which is this one. */
      (void)open("/dev/null", O_RDWR);
    }
  }
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN); /* Then write() fails instead. */
}

/* Prints one line; names and paths may have any content. */
static void print_line(FILE *stream, const char *start, const char *format,
                       va_list arguments) {
  char line[LINE_SIZE];
  (void)vsnprintf(line, sizeof line, format, arguments);
  for (char *c = line; *c != '\0'; c++) {
    if ((unsigned char)*c < ' ' || *c == 0x7f) {
      *c = '?';
    }
  }
  (void)fprintf(stream, "%s%s\n", start, line);
  (void)fflush(stream);
}

void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(stdout, "", format, arguments);
  va_end(arguments);
}

void warn(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(stderr, "adapt: warning: ", format, arguments);
  va_end(arguments);
}

int complain(int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(stderr, "adapt: ", format, arguments);
  va_end(arguments);
  return status;
}

int complain_memory(void) {
  return complain(BAD_INPUT,
                  "there is not enough memory; close other programs");
}
