//! The page: what is on it from the start, and what moves it.

use executor_api::Decision;
use policy::{Gate, Outcome};

use super::*;

#[test]
fn known_series_exist_from_the_start() {
    let page = Metrics::new().encode();
    for line in [
        "healer_build_info{version=\"0.1.0\"} 1",
        "healer_intents_received_total 0",
        "healer_decisions_total{decision=\"restart\",gate=\"\"} 0",
        "healer_decisions_total{decision=\"refused\",gate=\"cooldown\"} 0",
        "healer_decisions_total{decision=\"pending\",gate=\"no-facts\"} 0",
        "healer_kernel_lookups_total{found=\"nothing\"} 0",
        "healer_processes_remembered 0",
        "healer_attempts_total{outcome=\"relapsed\"} 0",
        "healer_attempts_in_flight 0",
        "healer_attempt_duration_seconds_count 0",
        "healer_last_restart_timestamp_seconds 0",
        "healer_targets_pending 0",
        "healer_targets_held 0",
        "healer_storm 0",
        "healer_storms_total 0",
        "healer_decisions_total{decision=\"pending\",gate=\"storm\"} 0",
        "healer_socket_errors_total{socket=\"docker\"} 0",
        "healer_journal_errors_total 0",
        "healer_evidence_total{result=\"failed\"} 0",
        "healer_evidence_read_seconds_count 0",
        "healer_config_reloads_total{result=\"failed\"} 0",
        "healer_measures_total{measure=\"start\",result=\"unclear\"} 0",
        "healer_measures_total{measure=\"escalate\",result=\"done\"} 0",
        "healer_incident_seconds_count{end=\"held\"} 0",
        "healer_triggers_total{trigger=\"network-lost\"} 0",
        "# EOF",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}

#[test]
fn events_move_their_series() {
    let metrics = Metrics::new();
    metrics.intent_received();
    metrics.decided(Decision::Refused, Some(Gate::Cooldown));
    metrics.kernel_lookup(KernelLookup::Memory);
    metrics.processes_looked_at(7);
    metrics.set_attempts_in_flight(0);
    metrics.attempt_answered(0.3);
    metrics.attempt_ended(Outcome::Recovered);
    metrics.restarted(1_760_978_852);
    metrics
        .measures()
        .taken(policy::Call::Exec, MeasureResult::Failed);
    metrics.measures().escalated();
    metrics
        .measures()
        .incident_ended(IncidentEnd::Expired, 61.0);
    metrics.set_targets(2, 1);
    metrics.socket_error(SocketName::Intents);
    metrics.journal_error();
    metrics.report_errors().inc();
    metrics.evidence().ended(crate::evidence::Written::Partly);
    metrics.evidence().waited(0.003);
    metrics.config_reloaded(true);
    metrics.set_engine_up(true);
    let page = metrics.encode();
    for line in [
        "healer_intents_received_total 1",
        "healer_decisions_total{decision=\"refused\",gate=\"cooldown\"} 1",
        "healer_kernel_lookups_total{found=\"memory\"} 1",
        "healer_process_looks_total 1",
        "healer_processes_remembered 7",
        "healer_attempts_in_flight 0",
        "healer_attempt_duration_seconds_bucket{le=\"0.25\"} 0",
        "healer_attempt_duration_seconds_bucket{le=\"0.5\"} 1",
        "healer_attempts_total{outcome=\"recovered\"} 1",
        "healer_last_restart_timestamp_seconds 1760978852",
        "healer_targets_pending 2",
        "healer_targets_held 1",
        "healer_socket_errors_total{socket=\"intents\"} 1",
        "healer_journal_errors_total 1",
        "healer_report_errors_total 1",
        "healer_evidence_total{result=\"partly\"} 1",
        "healer_evidence_read_seconds_bucket{le=\"0.005\"} 1",
        "healer_config_reloads_total{result=\"done\"} 1",
        "healer_engine_up 1",
        "healer_measures_total{measure=\"exec\",result=\"failed\"} 1",
        "healer_measures_total{measure=\"escalate\",result=\"done\"} 1",
        "healer_incident_seconds_bucket{le=\"60.0\",end=\"expired\"} 0",
        "healer_incident_seconds_bucket{le=\"120.0\",end=\"expired\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}
