//! The `[OUTPUT]` of the plugin, and what else stands in the file.

use super::*;

#[test]
fn each_fault_of_the_output_is_found() {
    for (from, to, expected) in [
        (
            "Ack_Timeout 250ms",
            "    Ack_Timout 250ms",
            "Fail fluent-bit.conf: unknown key Ack_Timout, which has no effect -> did you mean ack_timeout?",
        ),
        (
            "Ack_Timeout 250ms",
            "    Colour blue",
            "unknown key Colour, which has no effect -> the plugin's keys are name, socket",
        ),
        (
            "Ack_Timeout 250ms",
            "    Ack_Timeout soon",
            "Fail fluent-bit.conf: Ack_Timeout \"soon\" is not a duration",
        ),
        (
            "Ack_Timeout 250ms",
            "    Ack_Timeout 31s",
            "is not between 1ms and 30s",
        ),
        (
            "Ack_Timeout 250ms",
            "    tls On",
            "tls is on, and Fluent Bit does not start",
        ),
        (
            "Ack_Timeout 250ms",
            "    net.keepalive on",
            "Warn fluent-bit.conf: net.keepalive has no effect",
        ),
        (
            "Ack_Timeout 250ms",
            "    Target record",
            "Target is given twice",
        ),
        (
            "Ack_Timeout 250ms",
            "    Dry_Run on",
            "Warn fluent-bit.conf: Dry_Run is on: nothing is sent",
        ),
        (
            "Ack_Timeout 250ms",
            "    Dry_Run maybe",
            "Fail fluent-bit.conf: Dry_Run \"maybe\" is neither on nor off",
        ),
        (
            "Ack_Timeout 250ms",
            "    Log_Key log,,msg",
            "has an empty name between commas",
        ),
        (
            "Ack_Timeout 250ms",
            "    Log_Key log,*",
            "has * beside names",
        ),
        (
            "Target auto",
            "    Target my container",
            "is neither auto, record or kernel nor a container's name",
        ),
        (
            "Rules ${HEALER_RULES}",
            "    Rules gpuu",
            "Fail fluent-bit.conf: Rules: ",
        ),
        (
            "Rules ${HEALER_RULES}",
            "    Rules ${ELSEWHERE}",
            "Rules depends on ${ELSEWHERE} of Fluent Bit's environment",
        ),
        (
            "Socket ${HEALER_SOCKET}",
            "    Socket intents.sock",
            "is not an absolute path",
        ),
        (
            "Socket ${HEALER_SOCKET}",
            "    Socket /run/other.sock",
            "Warn fluent-bit.conf: Socket /run/other.sock is not the executor's",
        ),
        (
            "Socket ${HEALER_SOCKET}",
            "    Socket /run/healer-admin/admin.sock",
            "is the executor's admin socket",
        ),
        (
            "Match docker.*",
            "    Alias x",
            "Fail fluent-bit.conf: no Match: no record ever gets here",
        ),
        (
            "Match docker.*",
            "    Match other.*",
            "no [INPUT] has a tag that Match other.* takes",
        ),
        (
            "Retry_Limit no_limits",
            "",
            "no Retry_Limit: after one retry a match is lost",
        ),
        (
            "Retry_Limit no_limits",
            "    Retry_Limit 3",
            "after 3 retries a match is lost",
        ),
        (
            "Retry_Limit no_limits",
            "    Retry_Limit many",
            "Fail fluent-bit.conf: Retry_Limit \"many\" is read as 1",
        ),
        (
            "storage.total_limit_size 64M",
            "",
            "no storage.total_limit_size",
        ),
        (
            "Retry_Limit no_limits",
            "    Retry_Limit no_limits\n    Workers 1",
            "Workers 1: Fluent Bit starts each of them twice",
        ),
        (
            "Name healer",
            "    Name stdout",
            "no [OUTPUT] is named healer",
        ),
    ] {
        let found = changed(from, to);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{to}: {expected} is not in {found:#?}"
        );
    }
}

#[test]
fn each_fault_of_input_and_service_is_found() {
    for (from, to, expected) in [
        (
            "storage.type filesystem",
            "",
            "what waits for the executor dies with Fluent Bit",
        ),
        (
            "storage.type filesystem",
            "    Mem_Buf_Limit 5M",
            "when it is reached this input stops for every output",
        ),
        (
            "DB ${HEALER_STATE}/healer-tail.db",
            "",
            "no DB: after a restart of Fluent Bit",
        ),
        ("Skip_Long_Lines On", "", "Skip_Long_Lines is off"),
        (
            "storage.path ${HEALER_STATE}/healer-storage",
            "",
            "Fail fluent-bit.conf: an input has storage.type filesystem, but there is no storage.path",
        ),
        (
            "scheduler.base 1",
            "",
            "scheduler.base is not set, and 5 s by default",
        ),
        (
            "scheduler.cap 5",
            "    scheduler.cap 600",
            "scheduler.cap is 600 s",
        ),
        ("Flush 0.01", "    Flush 5", "flush is 5 s"),
        (
            "Flush 0.01",
            "    Flush often",
            "flush \"often\" is not a number of seconds",
        ),
        ("Health_Check On", "", "health_check is not on"),
        (
            "Plugins_File ${HEALER_CONF}/plugins.conf",
            "",
            "names out_healer.so",
        ),
    ] {
        let found = changed(from, to);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{from}: {expected} is not in {found:#?}"
        );
    }
}
