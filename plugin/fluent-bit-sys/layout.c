/* Sizes and offsets as the C compiler sees them; a test compares the bindings
 * with this table, in this order. */
#include <stddef.h>
#include "abi.h"

#define SIZE(t) sizeof(struct t)
#define AT(t, f) offsetof(struct t, f)

const size_t log_healer_layout[] = {
    SIZE(flb_plugin_proxy_def),
    AT(flb_plugin_proxy_def, type),
    AT(flb_plugin_proxy_def, proxy),
    AT(flb_plugin_proxy_def, flags),
    AT(flb_plugin_proxy_def, name),
    AT(flb_plugin_proxy_def, description),
    SIZE(flb_plugin_proxy_context),
    AT(flb_plugin_proxy_context, remote_context),
    SIZE(flb_api),
    AT(flb_api, output_get_property),
    AT(flb_api, input_get_property),
    AT(flb_api, output_get_cmt_instance),
    AT(flb_api, input_get_cmt_instance),
    AT(flb_api, log_print),
    AT(flb_api, input_log_check),
    AT(flb_api, output_log_check),
    SIZE(flbgo_output_plugin),
    AT(flbgo_output_plugin, name),
    AT(flbgo_output_plugin, api),
    AT(flbgo_output_plugin, o_ins),
    AT(flbgo_output_plugin, context),
};
const size_t log_healer_layout_len = sizeof(log_healer_layout) / sizeof(log_healer_layout[0]);
