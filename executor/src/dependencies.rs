//! Which containers another one depends on: by the configuration, by Compose's label, by a
//! shared network. Pure.
//!
//! Keeps true: nothing depends on itself, in however many steps: a cycle in the configuration
//! is a fault when it is read; what closes one by Compose's labels is left out, and can be
//! named.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Compose's project of a container.
const PROJECT: &str = "com.docker.compose.project";
/// Its service there.
const SERVICE: &str = "com.docker.compose.service";
/// What the service depends on: `db:service_healthy:false,cache:service_started:true`.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The condition of what is to have run to its end: it is down when all is well.
const COMPLETED: &str = "service_completed_successfully";
/// The condition of what only has to have been started; also where none is named.
const STARTED: &str = "service_started";
/// Whether `docker compose run` made it, beside the containers of its service: `True`.
const ONE_OFF: &str = "com.docker.compose.oneoff";
/// Before the id in `HostConfig.NetworkMode`.
const NETWORK_OF: &str = "container:";

/// By a container's name: the names of those that it needs.
pub type Needs = BTreeMap<String, BTreeSet<String>>;

/// The container whose network this one shares, by what `NetworkMode` says.
pub fn network_parent(mode: &str) -> Option<&str> {
    mode.strip_prefix(NETWORK_OF).filter(|id| !id.is_empty())
}

/// A cycle among what the configuration lists, as names in their order; none where there is
/// none.
pub fn cycle(needs: &Needs) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    needs
        .keys()
        .find_map(|name| cycle_from(needs, name, &mut Vec::new(), &mut done))
}

fn cycle_from<'a>(
    needs: &'a Needs,
    name: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<String>> {
    if let Some(from) = way.iter().position(|one| *one == name) {
        let round = way[from..].iter().chain([&name]);
        return Some(round.map(|one| (*one).to_owned()).collect());
    }
    if !done.insert(name) {
        return None;
    }
    way.push(name);
    let next = needs.get(name).into_iter().flatten();
    let found = next
        .into_iter()
        .find_map(|parent| cycle_from(needs, parent, way, done));
    way.pop();
    found
}

/// How a service has to be, by Compose's label, for one that depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// To have been started is enough: it may have done its work and ended.
    Started,
    /// It has to be up.
    Up,
}

/// What Compose's labels say of a container; as short as can be, since it is kept of all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ComposeLabels {
    project: Box<str>,
    service: Box<str>,
    /// The label as it is.
    depends_on: Box<str>,
    is_one_off: bool,
}

/// What is kept of a container to know which one needs which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    name: Box<str>,
    labels: ComposeLabels,
}

impl Member {
    /// None where Compose has not made it: then nothing is to be kept.
    pub fn of(name: &str, labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            name: name.into(),
            labels: ComposeLabels::of(labels)?,
        })
    }
}

impl ComposeLabels {
    fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            project: labels.get(PROJECT)?.as_str().into(),
            service: labels.get(SERVICE)?.as_str().into(),
            depends_on: labels.get(DEPENDS_ON).map_or("", String::as_str).into(),
            is_one_off: is_one_off(labels),
        })
    }

    /// The services that it names, without those that are to have run to their end.
    fn needs(&self) -> impl Iterator<Item = (&str, Condition)> {
        self.depends_on.split(',').filter_map(|entry| {
            let mut parts = entry.split(':').map(str::trim);
            let service = parts.next().filter(|service| !service.is_empty())?;
            let condition = match parts.next() {
                Some(COMPLETED) => return None,
                Some(STARTED | "") | None => Condition::Started,
                Some(_) => Condition::Up,
            };
            Some((service, condition))
        })
    }

    fn key(&self) -> (&str, &str) {
        (&self.project, &self.service)
    }
}

/// Whether `docker compose run` made a container with these labels: no part of its service.
pub fn is_one_off(labels: &BTreeMap<String, String>) -> bool {
    labels
        .get(ONE_OFF)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether Compose says that a container with these labels depends on anything.
pub fn has_compose_parents(labels: &BTreeMap<String, String>) -> bool {
    ComposeLabels::of(labels).is_some_and(|labels| labels.needs().next().is_some())
}

/// The project that Compose's labels name.
pub fn project(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(PROJECT).map(String::as_str)
}

/// The service that Compose's labels name.
pub fn service(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(SERVICE).map(String::as_str)
}

/// Names of containers that lead round in a circle, the first of them again at the end; the
/// least name comes first, so that one cycle is always the same.
pub type Cycle = Vec<String>;

/// What each container needs by Compose's labels and the configuration. One-off containers
/// are nobody's parents.
#[derive(Debug)]
pub struct Family {
    /// By name.
    members: Vec<Member>,
    /// Where they are in `members`, by project and service, without one-off ones.
    by_service: Vec<usize>,
    configured: Needs,
}

impl Family {
    /// Of all that are there, with what the configuration lists beside the labels.
    pub fn new(mut members: Vec<Member>, configured: &Needs) -> Self {
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let mut by_service: Vec<usize> = (0..members.len())
            .filter(|at| !members[*at].labels.is_one_off)
            .collect();
        by_service.sort_by(|a, b| members[*a].labels.key().cmp(&members[*b].labels.key()));
        Self {
            members,
            by_service,
            configured: configured.clone(),
        }
    }

    /// The containers that one with these labels depends on, by Compose's label. What leads
    /// back to it is left out.
    pub fn compose_parents(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Condition> {
        let Some(labels) = ComposeLabels::of(labels) else {
            return BTreeMap::new();
        };
        let parents = labels.needs().flat_map(|(service, condition)| {
            let of_it = self.of_service(&labels.project, service);
            of_it.map(move |parent| (parent, condition))
        });
        let parents = parents.filter(|(parent, _)| self.way(parent, name).is_none());
        parents
            .map(|(parent, condition)| (parent.to_owned(), condition))
            .collect()
    }

    /// A cycle for which a parent of this container was left out; none where none was.
    pub fn cycle(&self, name: &str, labels: &BTreeMap<String, String>) -> Option<Cycle> {
        self.cycle_at(name, &ComposeLabels::of(labels)?)
    }

    fn cycle_at(&self, name: &str, labels: &ComposeLabels) -> Option<Cycle> {
        let parents = labels
            .needs()
            .flat_map(|(service, _)| self.of_service(&labels.project, service));
        let mut way = parents.filter_map(|parent| self.way(parent, name)).min()?;
        // From a parent to the child itself, which is not named twice.
        let least = (0..way.len()).min_by_key(|at| &way[*at])?;
        way.rotate_left(least);
        way.push(way[0].clone());
        Some(way)
    }

    /// All cycles for which Compose's labels were left out, each once.
    pub fn cycles(&self) -> BTreeSet<Cycle> {
        let cycles = self.members.iter();
        cycles
            .filter_map(|one| self.cycle_at(&one.name, &one.labels))
            .collect()
    }

    /// Services that the label names and that no container has.
    pub fn missing_services(&self, labels: &BTreeMap<String, String>) -> Vec<String> {
        let Some(labels) = ComposeLabels::of(labels) else {
            return Vec::new();
        };
        let services = labels.needs().map(|(service, _)| service);
        services
            .filter(|service| self.of_service(&labels.project, service).next().is_none())
            .map(str::to_owned)
            .collect()
    }

    /// The names of a service's containers.
    fn of_service<'a>(
        &'a self,
        project: &'a str,
        service: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let all = &self.by_service;
        let key = (project, service);
        let from = all.partition_point(|at| self.members[*at].labels.key() < key);
        let its = all[from..].iter().map(|at| &self.members[*at]);
        its.take_while(move |member| member.labels.key() == key)
            .map(|member| &*member.name)
    }

    /// A shortest way from one to another, both named; none where there is none.
    fn way<'a>(&'a self, from: &'a str, to: &str) -> Option<Cycle> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        let mut seen = BTreeSet::from([from]);
        // However many containers need a service, and it has: once through is enough.
        let mut services_seen = BTreeSet::new();
        while let Some(name) = next.pop_front() {
            if name == to {
                let way = std::iter::successors(Some(name), |name| before.get(name).copied());
                let mut way: Cycle = way.map(str::to_owned).collect();
                way.reverse();
                return Some(way);
            }
            let configured = self.configured.get(name).into_iter().flatten();
            let labelled = self.services_of(name);
            let labelled = labelled.filter(|key| services_seen.insert(*key));
            let labelled =
                labelled.flat_map(|(project, service)| self.of_service(project, service));
            for parent in configured.map(String::as_str).chain(labelled) {
                if seen.insert(parent) {
                    before.insert(parent, name);
                    next.push_back(parent);
                }
            }
        }
        None
    }

    /// (Project, service) that a container's label names.
    fn services_of(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let at = self.members.binary_search_by(|one| (*one.name).cmp(name));
        let member = at.ok().map(|at| &self.members[at]);
        member.into_iter().flat_map(|member| {
            let needs = member.labels.needs();
            needs.map(move |(service, _)| (&*member.labels.project, service))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(of: &[(&str, &[&str])]) -> Needs {
        of.iter()
            .map(|(name, parents)| {
                let parents = parents.iter().map(|one| (*one).to_owned()).collect();
                ((*name).to_owned(), parents)
            })
            .collect()
    }

    #[derive(Clone)]
    struct Listed {
        name: String,
        labels: BTreeMap<String, String>,
    }

    fn listed(service: &str, depends_on: &str) -> Listed {
        Listed {
            name: format!("app-{service}-1"),
            labels: [
                (PROJECT, "app"),
                (SERVICE, service),
                (DEPENDS_ON, depends_on),
                (ONE_OFF, "False"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        }
    }

    fn family(all: &[Listed], configured: &Needs) -> Family {
        let members = all.iter().map(|one| Member::of(&one.name, &one.labels));
        Family::new(
            members.map(|one| one.expect("Compose's")).collect(),
            configured,
        )
    }

    #[test]
    fn a_cycle_is_named_whole_and_what_is_none_is_none() {
        assert_eq!(cycle(&needs(&[])), None);
        let diamond = needs(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])]);
        assert_eq!(cycle(&diamond), None);
        for (of, round) in [
            (needs(&[("a", &["a"])]), vec!["a", "a"]),
            (
                needs(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]),
                vec!["b", "c", "b"],
            ),
        ] {
            assert_eq!(cycle(&of).expect("a cycle"), round);
        }
    }

    #[test]
    fn composes_label_leads_to_siblings_of_the_same_project() {
        let web = listed(
            "web",
            "db:service_healthy:false, cache:service_started:true,migrate:\
             service_completed_successfully:false,gone:service_started:true",
        );
        let mut other = listed("db", "");
        other.labels.insert(PROJECT.into(), "other".into());
        other.name = "other-db-1".into();
        let all = [
            web.clone(),
            listed("db", ""),
            listed("cache", ""),
            listed("migrate", ""),
            other,
        ];
        let family = family(&all, &Needs::new());
        let parents = family.compose_parents(&web.name, &web.labels);
        assert_eq!(
            parents.into_iter().collect::<Vec<_>>(),
            [
                ("app-cache-1".to_owned(), Condition::Started),
                ("app-db-1".to_owned(), Condition::Up)
            ]
        );
        assert_eq!(family.missing_services(&web.labels), ["gone"]);
        assert_eq!(family.cycles(), BTreeSet::new());
        // One that was made since the list.
        let parents = family.compose_parents("app-web-2", &web.labels);
        assert_eq!(parents.len(), 2);
        assert!(has_compose_parents(&web.labels));
        for label in [
            "",
            ",",
            ":service_started",
            "m:service_completed_successfully",
        ] {
            assert!(
                !has_compose_parents(&listed("web", label).labels),
                "{label}"
            );
        }
    }

    #[test]
    fn labels_that_lead_round_in_a_circle_are_left_out() {
        let a = listed("a", "b:service_started:true,d:service_started:true");
        let all = [
            a.clone(),
            listed("b", "c:service_started:true"),
            listed("c", "a:service_started:true"),
            listed("d", "d:service_started:true"),
        ];
        let family = family(&all, &Needs::new());
        let parents = family.compose_parents(&a.name, &a.labels);
        assert_eq!(parents.into_keys().collect::<Vec<_>>(), ["app-d-1"]);
        // Each once, however many are in it.
        let cycles: Vec<String> = family.cycles().iter().map(|one| one.join(" ")).collect();
        assert_eq!(
            cycles,
            ["app-a-1 app-b-1 app-c-1 app-a-1", "app-d-1 app-d-1"]
        );
        let cycle = family.cycle(&all[2].name, &all[2].labels);
        assert_eq!(cycle.unwrap().join(" "), cycles[0]);
    }

    #[test]
    fn a_circle_through_the_configuration_is_opened_at_the_label() {
        let web = listed("web", "db:service_started:true");
        let db = listed("db", "");
        let configured = needs(&[("app-db-1", &["other"]), ("other", &["app-web-1"])]);
        let family = family(&[web.clone(), db.clone()], &configured);
        assert_eq!(
            family.compose_parents(&web.name, &web.labels),
            BTreeMap::new()
        );
        let cycle = family.cycle(&web.name, &web.labels).unwrap();
        assert_eq!(cycle.join(" "), "app-db-1 other app-web-1 app-db-1");
        assert_eq!(family.cycle(&db.name, &db.labels), None);
    }

    #[test]
    fn what_compose_run_has_left_behind_is_nobodys_parent() {
        let web = listed("web", "db:service_started:true");
        let db = listed("db", "");
        let mut left = listed("db", "web:service_started:true");
        left.name = "app-db-run-0123456789ab".into();
        left.labels.insert(ONE_OFF.into(), "True".into());
        let both = family(&[web.clone(), db, left.clone()], &Needs::new());
        let parents = both.compose_parents(&web.name, &web.labels);
        assert_eq!(parents.into_keys().collect::<Vec<_>>(), ["app-db-1"]);
        assert_eq!(both.cycles(), BTreeSet::new());
        // It may have parents of its own.
        let parents = both.compose_parents(&left.name, &left.labels);
        assert_eq!(parents.into_keys().collect::<Vec<_>>(), ["app-web-1"]);
        let alone = family(&[web.clone(), left], &Needs::new());
        assert_eq!(alone.missing_services(&web.labels), ["db"]);
    }

    #[test]
    fn a_service_that_is_scaled_wide_is_gone_through_once() {
        let mut all = Vec::new();
        for (service, needs) in [("a", "b:service_started:true"), ("b", "c"), ("c", "a")] {
            for n in 0..300 {
                let mut one = listed(service, needs);
                one.name = format!("app-{service}-{n:03}");
                all.push(one);
            }
        }
        let family = family(&all, &Needs::new());
        assert_eq!(
            family.compose_parents(&all[0].name, &all[0].labels).len(),
            0
        );
        let cycle = family.cycle(&all[0].name, &all[0].labels).unwrap();
        assert_eq!(cycle.join(" "), "app-a-000 app-b-000 app-c-000 app-a-000");
    }

    #[test]
    fn a_shared_network_names_its_container() {
        assert_eq!(network_parent("container:0123"), Some("0123"));
        for mode in ["", "bridge", "host", "container:", "app_default"] {
            assert_eq!(network_parent(mode), None, "{mode}");
        }
    }
}
