/*
 * The part of Fluent Bit's proxy plugin interface that this project uses.
 *
 * Written from the interface's description, not copied: each struct is cut
 * behind the last field that every supported version (2.2.1 and later) has.
 * The host's own structs are longer and only ever grew at their end, so what
 * stands here is a prefix of all of them. Never write past these fields: the
 * definition struct is 32 bytes up to version 4.2, 40 since 5.0, 48 since 5.1.1.
 */
#ifndef LOG_HEALER_ABI_H
#define LOG_HEALER_ABI_H

/* flb_plugin_proxy_def.type */
#define FLB_PROXY_OUTPUT_PLUGIN 2
/* flb_plugin_proxy_def.proxy: the calling convention of Go plugins */
#define FLB_PROXY_GOLANG 11

/* What Flush returns. */
#define FLB_ERROR 0
#define FLB_OK 1
#define FLB_RETRY 2

/* Levels of flb_api.log_print and flb_api.output_log_check. */
#define FLB_LOG_ERROR 1
#define FLB_LOG_WARN 2
#define FLB_LOG_INFO 3
#define FLB_LOG_DEBUG 4

/* Filled in by FLBPluginRegister. */
struct flb_plugin_proxy_def {
    int type;
    int proxy;
    int flags;
    char *name;
    char *description;
};

/* One [OUTPUT] section; the host hands remote_context back to Flush and Exit. */
struct flb_plugin_proxy_context {
    void *remote_context;
};

/* What the host can do for a plugin. o_ins, i_ins are opaque instances. */
struct flb_api {
    const char *(*output_get_property)(const char *key, void *o_ins);
    const char *(*input_get_property)(const char *key, void *i_ins);
    void *(*output_get_cmt_instance)(void *o_ins);
    void *(*input_get_cmt_instance)(void *i_ins);
    void (*log_print)(int level, const char *file, int line, const char *fmt, ...);
    int (*input_log_check)(void *i_ins, int level);
    int (*output_log_check)(void *o_ins, int level);
};

/* The argument of FLBPluginInit. */
struct flbgo_output_plugin {
    char *name;
    struct flb_api *api;
    void *o_ins;
    struct flb_plugin_proxy_context *context;
};

#endif
