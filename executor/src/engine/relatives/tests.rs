//! Parents on an engine that takes its time.

use std::cell::Cell;
use std::collections::BTreeMap;

use policy::{Call, Called};
use tokio::task::{JoinHandle, LocalSet};

use super::*;
use crate::dependencies::Member;
use crate::docker::{ApiVersion, DockerError, EngineVersion, Exit, Phase, Ran, Reading};

/// A Compose project whose `web` needs `db` and `migrate`.
#[derive(Default)]
struct Fake {
    /// How long its list takes, and whether that fails then.
    list_takes: Cell<Duration>,
    list_fails: Cell<bool>,
    lists: Cell<u32>,
    lists_at_once: Cell<u32>,
    most_lists_at_once: Cell<u32>,
    inspect_takes: Cell<Duration>,
    migrate: Cell<Exit>,
    migrate_condition: Cell<&'static str>,
}

fn labels(service: &str, depends_on: &str) -> BTreeMap<String, String> {
    [
        ("com.docker.compose.project", "app"),
        ("com.docker.compose.service", service),
        ("com.docker.compose.depends_on", depends_on),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn container(service: &str, depends_on: &str) -> Inspected {
    Inspected {
        id: "a5e0".repeat(16),
        name: format!("app-{service}-1"),
        state: ContainerState::Running,
        started_at: None,
        finished_at: None,
        health: None,
        labels: labels(service, depends_on),
        stop_timeout_s: None,
        network: Default::default(),
        exit: Default::default(),
    }
}

impl Docker for Fake {
    async fn inspect(&self, name: &str, _: Duration) -> Result<Option<Inspected>, DockerError> {
        sleep(self.inspect_takes.get()).await;
        let mut found = container("db", "");
        if name == "app-migrate-1" {
            found = container("migrate", "");
            found.state = ContainerState::Exited;
            found.exit = self.migrate.get();
        }
        Ok(Some(found))
    }

    async fn members(&self, deadline: Duration) -> Result<Vec<Member>, DockerError> {
        self.lists.set(self.lists.get() + 1);
        self.lists_at_once.set(self.lists_at_once.get() + 1);
        let most = self.most_lists_at_once.get().max(self.lists_at_once.get());
        self.most_lists_at_once.set(most);
        let takes = self.list_takes.get();
        sleep(takes.min(deadline)).await;
        self.lists_at_once.set(self.lists_at_once.get() - 1);
        if takes > deadline || self.list_fails.get() {
            return Err(DockerError::TimedOut {
                what: "list".to_owned(),
                phase: Phase::Body,
                limit: deadline,
            });
        }
        let members = ["web", "db", "migrate"].into_iter();
        let member = |service| Member::of(&format!("app-{service}-1"), &labels(service, ""));
        Ok(members.filter_map(member).collect())
    }

    async fn ping(&self, _: Duration) -> Result<ApiVersion, DockerError> {
        unreachable!("not asked for")
    }

    async fn version(&self, _: Duration) -> Result<EngineVersion, DockerError> {
        unreachable!("not asked for")
    }

    async fn exec(&self, _: &str, _: &[String], _: Duration) -> Ran {
        unreachable!("not asked for")
    }

    async fn read(&self, _: &Reading, _: Duration) -> Result<Vec<u8>, DockerError> {
        unreachable!("not asked for")
    }

    async fn call(&self, _: Call, _: &str, _: Duration, _: Option<i64>) -> Called {
        unreachable!("not asked for")
    }
}

#[derive(Default)]
struct Bench {
    docker: Rc<Fake>,
    relatives: Rc<Relatives>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self::default();
        bench.docker.migrate_condition.set("service_started");
        let failed = Exit {
            code: 1,
            ..Exit::default()
        };
        bench.docker.migrate.set(failed);
        bench
    }

    /// What is seen of the parents of `web` within so long, one letter each and in order.
    fn look(&self, within_ms: u64) -> JoinHandle<String> {
        let (docker, relatives) = (Rc::clone(&self.docker), Rc::clone(&self.relatives));
        let until = Instant::now() + Duration::from_millis(within_ms);
        spawn_local(async move {
            let condition = docker.migrate_condition.get();
            let needs = format!("db:service_healthy:false,migrate:{condition}:false");
            let web = container("web", &needs);
            let parents = relatives.parents(&docker, &web, until).await;
            let letter = |parent: &Parent| match parent.seen {
                Seen::Gone => 'g',
                Seen::Done => 'd',
                Seen::Unknown => '?',
                Seen::Found { .. } => 'f',
            };
            parents.iter().map(letter).collect()
        })
    }

    async fn sees(&self, within_ms: u64) -> String {
        self.look(within_ms).await.expect("no panic")
    }
}

async fn within<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

#[tokio::test(start_paused = true)]
async fn a_list_that_a_brief_look_did_not_see_serves_the_next_and_is_dropped() {
    within(async {
        let bench = Bench::new();
        bench.docker.list_takes.set(Duration::from_millis(400));
        assert_eq!(bench.sees(90).await, "?");
        sleep(Duration::from_millis(320)).await;
        assert_eq!(bench.sees(90).await, "ff");
        assert_eq!(bench.docker.lists.get(), 1, "the first one went on");
        assert!(bench.relatives.list.borrow().is_some());
        sleep(LIST_KEPT).await;
        assert!(bench.relatives.list.borrow().is_none());
        assert_eq!(bench.sees(9_000).await, "ff");
        assert_eq!(bench.docker.lists.get(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_looks_share_one_list() {
    within(async {
        let bench = Bench::new();
        bench.docker.list_takes.set(Duration::from_secs(1));
        let looks: Vec<_> = (0..64).map(|_| bench.look(9_000)).collect();
        for look in looks {
            assert_eq!(look.await.expect("no panic"), "ff");
        }
        let docker = &bench.docker;
        assert_eq!(
            (docker.lists.get(), docker.most_lists_at_once.get()),
            (1, 1)
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_shown_in_time_is_unknown_and_in_the_end_given_up() {
    within(async {
        let bench = Bench::new();
        bench.docker.inspect_takes.set(Duration::from_millis(200));
        assert_eq!(bench.sees(90).await, "??");
        bench.docker.inspect_takes.set(Duration::ZERO);
        sleep(LIST_KEPT).await;
        bench.docker.list_fails.set(true);
        assert_eq!(bench.sees(90).await, "?", "at once");
        bench.docker.list_fails.set(false);
        assert_eq!(bench.sees(90).await, "ff", "a failure is not kept");
        sleep(LIST_KEPT).await;
        // One that hangs is asked for again once its time is over.
        bench.docker.list_takes.set(Duration::MAX);
        for _ in 0..3 {
            assert_eq!(bench.sees(9_000).await, "?");
        }
        bench.docker.list_takes.set(Duration::ZERO);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(bench.sees(90).await, "ff");

        let mut parents = vec![unlisted(&container("web", ""))];
        bench
            .relatives
            .give_up_on_unknown("app-web-1", &mut parents);
        assert_eq!(parents, []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_once_and_is_done_is_well_unless_it_has_to_be_up() {
    within(async {
        let bench = Bench::new();
        let exit = |code, is_always_restarted| Exit {
            code,
            is_always_restarted,
        };
        for (condition, exit, seen) in [
            ("service_started", exit(0, false), "fd"),
            ("service_started", exit(1, false), "ff"),
            ("service_started", exit(0, true), "ff"),
            ("service_healthy", exit(0, false), "ff"),
        ] {
            bench.docker.migrate_condition.set(condition);
            bench.docker.migrate.set(exit);
            assert_eq!(bench.sees(90).await, seen, "{condition} {exit:?}");
        }
        // Whoever lists it means that it is to be up.
        bench.docker.migrate_condition.set("service_started");
        bench.docker.migrate.set(exit(0, false));
        let listed = BTreeSet::from(["app-migrate-1".to_owned()]);
        let needs = Needs::from([("app-web-1".to_owned(), listed)]);
        bench.relatives.needs.replace(needs);
        assert_eq!(bench.sees(90).await, "ff");
    })
    .await;
}

#[test]
fn what_is_told_once_is_news_until_it_is_so_no_more() {
    let mut once = Once::default();
    assert!(!once.is_news("app"));
    for _ in 0..2 {
        for news in [true, false, false] {
            once.note("app", true);
            assert_eq!(once.is_news("app"), news);
        }
        once.note("app", false);
        assert!(!once.is_news("app"));
    }
}

#[test]
fn the_one_noted_longest_ago_makes_room_for_a_new_one() {
    let mut once = Once::default();
    for n in 0..ONCE_MAX {
        once.note(&n.to_string(), true);
        assert!(once.is_news(&n.to_string()));
    }
    // What is known already takes no room,
    once.note("0", true);
    assert!(!once.is_news("0"));
    // and what is so no more gives it back.
    once.note("7", false);
    once.note("new", true);
    assert!(once.is_news("new") && !once.is_news("0"));
    once.note("one more", true);
    assert!(once.is_news("one more"));
    assert_eq!((once.told.len(), once.order.len()), (ONCE_MAX, ONCE_MAX));
    once.note("0", true);
    assert!(once.is_news("0"), "it was forgotten");
}

#[test]
fn an_unseen_parent_is_told_of_each_child() {
    let relatives = Relatives::default();
    for (child, is_unknown, news) in [
        ("a", true, true),
        ("b", true, true),
        ("a", true, false),
        ("a", false, false),
        ("b", true, false),
        ("a", true, true),
    ] {
        let is_news = relatives.is_unknown_news(child, is_unknown);
        assert_eq!(is_news, news, "{child} {is_unknown}");
    }
}
