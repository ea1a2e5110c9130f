/* Loaded in front of the C library: the time of day is an hour ahead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int answer = real(clock, time);
    if (answer == 0 && clock == CLOCK_REALTIME) {
        time->tv_sec += 3600;
    }
    return answer;
}
