/* Stands in for the metrics library that Fluent Bit exports: the same function
 * names and arguments, found by the plugin in the global scope. Keeps figures
 * for tests to read, notes series made after Init, and how deep on the stack it
 * was called. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct series {
    char *key;
    double value;
    struct series *next;
};

struct fake {
    char *name;
    int frozen;
    int late;
    struct series *series;
    struct metric *metrics;
};

struct metric {
    struct fake *cmt;
    char *name;
    int labels;
    struct metric *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread char *lowest;

void *fake_cmt_new(const char *name)
{
    struct fake *cmt = calloc(1, sizeof(*cmt));
    cmt->name = strdup(name);
    return cmt;
}

void fake_cmt_free(struct fake *cmt)
{
    while (cmt->series) {
        struct series *next = cmt->series->next;
        free(cmt->series->key);
        free(cmt->series);
        cmt->series = next;
    }
    while (cmt->metrics) {
        struct metric *next = cmt->metrics->next;
        free(cmt->metrics->name);
        free(cmt->metrics);
        cmt->metrics = next;
    }
    free(cmt->name);
    free(cmt);
}

void fake_cmt_freeze(struct fake *cmt) { cmt->frozen = 1; }
int fake_cmt_late(struct fake *cmt) { return cmt->late; }

/* The lowest address that a call on this thread came from; forgotten by asking. */
char *fake_cmt_lowest(void)
{
    char *found = lowest;
    lowest = NULL;
    return found;
}

static void *create(struct fake *cmt, char *ns, char *subsystem, char *name, char *help, int labels)
{
    struct metric *metric = calloc(1, sizeof(*metric));
    char full[256];
    if (!help || !*help) {
        return NULL;
    }
    snprintf(full, sizeof(full), "%s_%s_%s", ns, subsystem, name);
    metric->cmt = cmt;
    metric->name = strdup(full);
    metric->labels = labels;
    metric->next = cmt->metrics;
    cmt->metrics = metric;
    return metric;
}

void *cmt_counter_create(struct fake *cmt, char *ns, char *subsystem, char *name, char *help,
                         int count, char **keys)
{
    return strcmp(keys[0], "name") == 0 ? create(cmt, ns, subsystem, name, help, count) : NULL;
}

void *cmt_gauge_create(struct fake *cmt, char *ns, char *subsystem, char *name, char *help,
                       int count, char **keys)
{
    return cmt_counter_create(cmt, ns, subsystem, name, help, count, keys);
}

static struct series *find(struct fake *cmt, const char *key, int make)
{
    struct series *at;
    for (at = cmt->series; at; at = at->next) {
        if (strcmp(at->key, key) == 0) {
            return at;
        }
    }
    if (!make) {
        return NULL;
    }
    cmt->late += cmt->frozen;
    at = calloc(1, sizeof(*at));
    at->key = strdup(key);
    at->next = cmt->series;
    cmt->series = at;
    return at;
}

static int update(struct metric *metric, double value, int count, char **labels, int set)
{
    char key[256];
    struct series *series;
    char *here = __builtin_frame_address(0);
    if (!lowest || here < lowest) {
        lowest = here;
    }
    if (count != metric->labels || strcmp(labels[0], metric->cmt->name) != 0) {
        return -1;
    }
    snprintf(key, sizeof(key), "%s{%s}", metric->name, count > 1 ? labels[1] : "");
    pthread_mutex_lock(&lock);
    series = find(metric->cmt, key, 1);
    series->value = set ? value : series->value + value;
    pthread_mutex_unlock(&lock);
    return 0;
}

int cmt_counter_add(struct metric *metric, uint64_t when, double value, int count, char **labels)
{
    return when == 0 ? -1 : update(metric, value, count, labels, 0);
}

int cmt_gauge_set(struct metric *metric, uint64_t when, double value, int count, char **labels)
{
    return when == 0 ? -1 : update(metric, value, count, labels, 1);
}

/* Minus one where there is no such series. */
double fake_cmt_value(struct fake *cmt, const char *key)
{
    struct series *series;
    double value;
    pthread_mutex_lock(&lock);
    series = find(cmt, key, 0);
    value = series ? series->value : -1;
    pthread_mutex_unlock(&lock);
    return value;
}

char *cmt_encode_prometheus_create(struct fake *cmt, int add_timestamp)
{
    char *text = malloc(256);
    (void) add_timestamp;
    snprintf(text, 256,
             "# HELP fluentbit_output_proc_records_total Number of processed output records.\n"
             "# TYPE fluentbit_output_proc_records_total counter\n"
             "fluentbit_output_proc_records_total{name=\"%s\"} 0\n",
             cmt->name);
    return text;
}

void cmt_encode_prometheus_destroy(char *text) { free(text); }
