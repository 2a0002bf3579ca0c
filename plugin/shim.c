/* The host's log_print is variadic; this is the one call that needs C. The
 * message is data, never a format. */
typedef void (*log_print_fn)(int level, const char *file, int line, const char *fmt, ...);

void log_healer_print(log_print_fn print, int level, const char *instance, const char *message)
{
    print(level, "", 0, "[output:healer:%s] %s", instance, message);
}
