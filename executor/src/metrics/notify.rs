//! What is counted of notifications; handed to their thread. The notifiers'
//! names are the configuration's, so there are as many series as it has.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::Word;

/// What became of a message, or of a try to send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyResult {
    /// It is out.
    Sent,
    /// A try failed; there will be another.
    Failed,
    /// The receiver does not want it.
    Refused,
    /// It has waited too long.
    Expired,
    /// There was no room for it.
    Dropped,
    /// The same step of the same target, within the cooldown.
    Repeated,
}

impl NotifyResult {
    const ALL: [Self; 6] = [
        Self::Sent,
        Self::Failed,
        Self::Refused,
        Self::Expired,
        Self::Dropped,
        Self::Repeated,
    ];

    fn word(self) -> Word {
        Word(match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
            Self::Repeated => "repeated",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    notifier: String,
    result: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NotifierLabels {
    notifier: String,
}

/// Messages by what became of them, and how many wait; clones share them.
#[derive(Debug, Clone, Default)]
pub struct NotifyMetrics {
    messages: Family<Labels, Counter>,
    queued: Family<NotifierLabels, Gauge>,
    last_sent: Family<NotifierLabels, Gauge>,
    left_out: Counter,
}

impl NotifyMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "notifications",
            "Messages, and tries to send them, by what became of them",
            self.messages.clone(),
        );
        registry.register(
            "notifications_queued",
            "Messages that wait to be sent",
            self.queued.clone(),
        );
        registry.register_with_unit(
            "notification_last_sent_timestamp",
            "When a message went out last, since the epoch; 0 = not since start",
            Unit::Seconds,
            self.last_sent.clone(),
        );
        registry.register(
            "notifications_left_out",
            "Steps told to nobody: too many at once",
            self.left_out.clone(),
        );
    }

    /// A notifier is there: all its series, at 0.
    pub fn add(&self, notifier: &str) {
        for result in NotifyResult::ALL {
            self.of(notifier, result);
        }
        self.queued.get_or_create_owned(&labels(notifier));
        self.last_sent.get_or_create_owned(&labels(notifier));
    }

    /// It is there no more.
    pub fn remove(&self, notifier: &str) {
        for result in NotifyResult::ALL {
            let (notifier, result) = (notifier.to_owned(), result.word());
            self.messages.remove(&Labels { notifier, result });
        }
        self.queued.remove(&labels(notifier));
        self.last_sent.remove(&labels(notifier));
    }

    /// So many messages, or tries, had this result.
    pub fn count(&self, notifier: &str, result: NotifyResult, count: u32) {
        self.of(notifier, result).inc_by(u64::from(count));
    }

    /// One went out at this time, seconds since the epoch.
    pub fn sent_at(&self, notifier: &str, epoch_s: u64) {
        let gauge = self.last_sent.get_or_create_owned(&labels(notifier));
        gauge.set(i64::try_from(epoch_s).unwrap_or(i64::MAX));
    }

    /// So many wait.
    pub fn set_queued(&self, notifier: &str, messages: usize) {
        let gauge = self.queued.get_or_create_owned(&labels(notifier));
        gauge.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// So many steps were told to nobody.
    pub fn left_out(&self, steps: u32) {
        self.left_out.inc_by(u64::from(steps));
    }

    fn of(&self, notifier: &str, result: NotifyResult) -> Counter {
        self.messages.get_or_create_owned(&Labels {
            notifier: notifier.to_owned(),
            result: result.word(),
        })
    }
}

fn labels(notifier: &str) -> NotifierLabels {
    NotifierLabels {
        notifier: notifier.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn a_notifiers_series_come_and_go_with_it() {
        let metrics = Metrics::new();
        let notify = metrics.notify();
        notify.add("phone");
        notify.count("phone", NotifyResult::Sent, 2);
        notify.set_queued("phone", 3);
        notify.sent_at("phone", 1_760_978_852);
        notify.left_out(4);
        let page = metrics.encode();
        for line in [
            "healer_notifications_total{notifier=\"phone\",result=\"sent\"} 2",
            "healer_notifications_total{notifier=\"phone\",result=\"dropped\"} 0",
            "healer_notifications_queued{notifier=\"phone\"} 3",
            "healer_notification_last_sent_timestamp_seconds{notifier=\"phone\"} 1760978852",
            "healer_notifications_left_out_total 4",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
        notify.remove("phone");
        assert!(!metrics.encode().contains("phone"));
    }
}
