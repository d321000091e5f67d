/* What the two stub libraries share: the machine that they belong to, its settings and its log.

   A machine is a folder. lib/ holds the libraries themselves, which is how they find it; `settings` says "name value"
   in each line and is read anew at every question; `log` gets one JSON object per line; `sessions` holds one locked
   file for every open session, which the kernel unlocks when its process dies, however it dies. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 512, MOST_SESSIONS = 64 };

struct CUctx_st { int device; };

static void machine_path(char *out, const char *name) {
    Dl_info self;
    dladdr((void *)machine_path, &self);
    snprintf(out, TEXT, "%s", self.dli_fname);
    for (int levels = 0; levels < 2; levels++) *strrchr(out, '/') = 0;
    snprintf(out + strlen(out), TEXT - strlen(out), "/%s", name);
}

/* The value of a setting; the usual one where there is none. */
static void setting(const char *name, const char *usual, char *out) {
    char path[TEXT], line[TEXT], key[TEXT], value[TEXT];
    machine_path(path, "settings");
    snprintf(out, TEXT, "%s", usual);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%511s %511s", key, value) == 2 && !strcmp(key, name)) snprintf(out, TEXT, "%s", value);
    if (file) fclose(file);
}

static int number_setting(const char *name, int usual) {
    char text[TEXT], value[TEXT];
    snprintf(text, TEXT, "%d", usual);
    setting(name, text, value);
    return atoi(value);
}

/* Whether a setting, words with commas between, has this word. */
static int listed(const char *name, const char *usual, const char *word) {
    char words[TEXT], *rest = words, *each;
    setting(name, usual, words);
    while ((each = strsep(&rest, ",")))
        if (!strcmp(each, word)) return 1;
    return 0;
}

static int lost(int device) {
    char word[16];
    snprintf(word, sizeof word, "%d", device);
    return listed("lost", "", word);
}

__attribute__((format(printf, 2, 3), unused)) static void note(const char *event, const char *format, ...) {
    char path[TEXT], line[4096];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int used = snprintf(line, sizeof line, "{\"event\": \"%s\", \"pid\": %d, \"at\": %ld.%09ld, ", event, getpid(),
                        (long)now.tv_sec, now.tv_nsec);
    va_list values;
    va_start(values, format);
    used += vsnprintf(line + used, sizeof line - used - 2, format, values);
    va_end(values);
    used += snprintf(line + used, sizeof line - used, "}\n");
    machine_path(path, "log");
    int log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (log < 0 || write(log, line, used) != used) abort();
    close(log);
}
