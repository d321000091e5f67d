/* A libnvidia-ml.so.1 that says what the file named by NVML_STUB says, read anew at every call.

   line 0: what nvmlInit returns|driver version
   line n: status|uuid|name|total MiB|used MiB|utilization|encoder utilization|sessions|temperature|milliwatts
   A "-" is answered by NOT_SUPPORTED, and so is every value of status "mig"; status "lost": GPU_IS_LOST to every
   question but who it is, "gone": to that too, "hang": never answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK, NOT_SUPPORTED = 3, UNINITIALIZED = 1, LOST = 15 };
enum { STATUS, UUID, NAME, TOTAL, USED, UTILIZATION, ENCODER, SESSIONS, TEMPERATURE, MILLIWATTS };
static int begun;

static int cell(long line, int column, char *out) {
    char text[1024], *rest = text, *word = "-";
    FILE *script = fopen(getenv("NVML_STUB"), "r");
    long at = -1;
    while (script && at < line && fgets(text, sizeof text, script)) at++;
    if (script) fclose(script);
    if (at != line) return LOST;
    text[strcspn(text, "\n")] = 0;
    for (int each = 0; each <= column && rest; each++) word = strsep(&rest, "|");
    strcpy(out, word);
    return strcmp(word, "-") ? OK : NOT_SUPPORTED;
}

static int ask(void *device, int column, char *out) {
    char status[1024];
    if (!begun) return UNINITIALIZED;
    int failed = cell((long)device, STATUS, status);
    if (failed) return failed;
    while (!strcmp(status, "hang")) pause();
    if (!strcmp(status, "gone") || (!strcmp(status, "lost") && column > NAME)) return LOST;
    if (!strcmp(status, "mig") && column > USED) return NOT_SUPPORTED;
    return cell((long)device, column, out);
}

static int number(void *device, int column, unsigned long long unit, unsigned long long *out) {
    char text[1024];
    int failed = ask(device, column, text);
    if (!failed) *out = strtoull(text, 0, 10) * unit;
    return failed;
}

static int small(void *device, int column, unsigned *out) {
    unsigned long long value = 0;
    int failed = number(device, column, 1, &value);
    *out = value;
    return failed;
}

static int text(void *device, int column, char *out, unsigned size) {
    char whole[1024];
    int failed = ask(device, column, whole);
    if (!failed) snprintf(out, size, "%s", whole);
    return failed;
}

int nvmlInitWithFlags(unsigned flags) {
    char code[1024];
    int failed = cell(0, 0, code);
    begun = !failed && !atoi(code);
    return failed ? failed : atoi(code);
}
int nvmlShutdown(void) { begun = 0; return OK; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    char driver[1024];
    if (!begun) return UNINITIALIZED;
    cell(0, 1, driver);
    snprintf(out, size, "%s", driver);
    return OK;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    char ignored[1024];
    for (*count = 0; cell(*count + 1, 0, ignored) == OK; ++*count);
    return begun ? OK : UNINITIALIZED;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(long)(index + 1); return OK; }
int nvmlDeviceGetUUID(void *device, char *out, unsigned size) { return text(device, UUID, out, size); }
int nvmlDeviceGetName(void *device, char *out, unsigned size) { return text(device, NAME, out, size); }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long out[3]) {
    int failed = number(device, TOTAL, 1 << 20, &out[0]);
    if (!failed) failed = number(device, USED, 1 << 20, &out[2]);
    out[1] = out[0] - out[2];
    return failed;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned out[2]) { return small(device, UTILIZATION, &out[0]); }
int nvmlDeviceGetEncoderUtilization(void *device, unsigned *out, unsigned *period) { return small(device, ENCODER, out); }
int nvmlDeviceGetEncoderStats(void *device, unsigned long long *count, unsigned long long *fps, unsigned long long *us) {
    return number(device, SESSIONS, 1, count);
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *out) { return small(device, TEMPERATURE, out); }
int nvmlDeviceGetPowerUsage(void *device, unsigned *out) { return small(device, MILLIWATTS, out); }
