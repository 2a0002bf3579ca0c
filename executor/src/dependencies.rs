//! Which containers another one depends on: by the configuration, by Compose's label, by a
//! shared network. Pure.
//!
//! Keeps true: nothing depends on itself, in however many steps: a cycle in the configuration
//! is a fault when it is read; what closes one by Compose's labels is left out, and can be
//! named.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::docker::Listed;

/// Compose's project of a container.
const PROJECT: &str = "com.docker.compose.project";
/// Its service there.
const SERVICE: &str = "com.docker.compose.service";
/// What the service depends on: `db:service_healthy:false,cache:service_started:true`.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The condition of what is to have run to its end: it is down when all is well.
const COMPLETED: &str = "service_completed_successfully";
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

/// Whether Compose says that a container with these labels depends on anything.
pub fn has_compose_parents(labels: &BTreeMap<String, String>) -> bool {
    labels.contains_key(PROJECT) && labels.contains_key(SERVICE) && !services(labels).is_empty()
}

/// Names of containers that lead round in a circle, the first of them again at the end; the
/// least name comes first, so that one circle is always the same.
pub type Circle = Vec<String>;

/// All containers, and what each needs by Compose's labels and the configuration.
#[derive(Debug)]
pub struct Family {
    all: Vec<Listed>,
    needs: Needs,
}

impl Family {
    /// Of all that are there, with what the configuration lists beside the labels.
    pub fn new(all: Vec<Listed>, configured: &Needs) -> Self {
        let mut needs = configured.clone();
        let mut services_of: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for one in &all {
            if let Some(key) = project_and_service(&one.labels) {
                services_of.entry(key).or_default().push(&one.name);
            }
        }
        for one in &all {
            let Some((project, _)) = project_and_service(&one.labels) else {
                continue;
            };
            let parents = services(&one.labels).into_iter();
            let parents = parents.filter_map(|service| services_of.get(&(project, service)));
            let parents = parents.flatten().map(|name| (*name).to_owned());
            needs.entry(one.name.clone()).or_default().extend(parents);
        }
        Self { all, needs }
    }

    /// All of them, as the engine listed them.
    pub fn all(&self) -> &[Listed] {
        &self.all
    }

    /// The containers that one with these labels depends on, by Compose's label. What leads
    /// back to it is left out.
    pub fn compose_parents(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> BTreeSet<String> {
        let mut parents = self.labelled(labels);
        parents.retain(|parent| self.way(parent, name).is_none());
        parents
    }

    /// A circle for which a parent of this container was left out; none where none was.
    pub fn circle(&self, name: &str, labels: &BTreeMap<String, String>) -> Option<Circle> {
        let ways = self.labelled(labels).into_iter();
        let mut way = ways.filter_map(|parent| self.way(&parent, name)).min()?;
        // From a parent to the child itself, which is not named twice.
        let least = (0..way.len()).min_by_key(|at| &way[*at])?;
        way.rotate_left(least);
        way.push(way[0].clone());
        Some(way)
    }

    /// All circles for which Compose's labels were left out, each once.
    pub fn circles(&self) -> BTreeSet<Circle> {
        let circles = self.all.iter();
        circles
            .filter_map(|one| self.circle(&one.name, &one.labels))
            .collect()
    }

    /// Services that the label names and that no container has.
    pub fn missing_services<'a>(&self, labels: &'a BTreeMap<String, String>) -> Vec<&'a str> {
        let Some((project, _)) = project_and_service(labels) else {
            return Vec::new();
        };
        let mut missing = services(labels);
        let is_there = |service: &str| {
            let mut all = self.all.iter();
            all.any(|one| project_and_service(&one.labels) == Some((project, service)))
        };
        missing.retain(|service| !is_there(service));
        missing
    }

    /// By Compose's label, whatever comes of it.
    fn labelled(&self, labels: &BTreeMap<String, String>) -> BTreeSet<String> {
        let Some((project, _)) = project_and_service(labels) else {
            return BTreeSet::new();
        };
        let wanted: BTreeSet<&str> = services(labels).into_iter().collect();
        let is_parent = |one: &&Listed| {
            project_and_service(&one.labels)
                .is_some_and(|(of, service)| of == project && wanted.contains(service))
        };
        let parents = self.all.iter().filter(is_parent);
        parents.map(|one| one.name.clone()).collect()
    }

    /// A shortest way from one to another, both named; none where there is none.
    fn way(&self, from: &str, to: &str) -> Option<Circle> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        let mut seen = BTreeSet::from([from]);
        while let Some(name) = next.pop_front() {
            if name == to {
                let way = std::iter::successors(Some(name), |name| before.get(name).copied());
                let mut way: Circle = way.map(str::to_owned).collect();
                way.reverse();
                return Some(way);
            }
            for parent in self.needs.get(name).into_iter().flatten() {
                if seen.insert(parent) {
                    before.insert(parent, name);
                    next.push_back(parent);
                }
            }
        }
        None
    }
}

fn project_and_service(labels: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    Some((labels.get(PROJECT)?, labels.get(SERVICE)?))
}

/// The services of the label, without those that are to have run to their end.
fn services(labels: &BTreeMap<String, String>) -> Vec<&str> {
    let label = labels.get(DEPENDS_ON).map_or("", String::as_str);
    let entries = label.split(',').filter_map(|entry| {
        let mut parts = entry.split(':').map(str::trim);
        let service = parts.next().filter(|service| !service.is_empty())?;
        (parts.next() != Some(COMPLETED)).then_some(service)
    });
    entries.collect()
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

    fn listed(service: &str, depends_on: &str) -> Listed {
        Listed {
            id: service.to_owned(),
            name: format!("app-{service}-1"),
            state: "running".into(),
            labels: [
                (PROJECT, "app"),
                (SERVICE, service),
                (DEPENDS_ON, depends_on),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        }
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
        let family = Family::new(all.to_vec(), &Needs::new());
        let parents = family.compose_parents(&web.name, &web.labels);
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        assert_eq!(parents, ["app-cache-1", "app-db-1"]);
        assert_eq!(family.missing_services(&web.labels), ["gone"]);
        assert_eq!(family.circles(), BTreeSet::new());
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
        let family = Family::new(all.to_vec(), &Needs::new());
        let parents = family.compose_parents(&a.name, &a.labels);
        assert_eq!(parents.into_iter().collect::<Vec<_>>(), ["app-d-1"]);
        // Each once, however many are in it.
        let circles: Vec<String> = family.circles().iter().map(|one| one.join(" ")).collect();
        assert_eq!(
            circles,
            ["app-a-1 app-b-1 app-c-1 app-a-1", "app-d-1 app-d-1"]
        );
        let circle = family.circle(&all[2].name, &all[2].labels);
        assert_eq!(circle.unwrap().join(" "), circles[0]);
    }

    #[test]
    fn a_circle_through_the_configuration_is_opened_at_the_label() {
        let web = listed("web", "db:service_started:true");
        let db = listed("db", "");
        let configured = needs(&[("app-db-1", &["other"]), ("other", &["app-web-1"])]);
        let family = Family::new(vec![web.clone(), db.clone()], &configured);
        assert_eq!(
            family.compose_parents(&web.name, &web.labels),
            BTreeSet::new()
        );
        let circle = family.circle(&web.name, &web.labels).unwrap();
        assert_eq!(circle.join(" "), "app-db-1 other app-web-1 app-db-1");
        assert_eq!(family.circle(&db.name, &db.labels), None);
    }

    #[test]
    fn a_shared_network_names_its_container() {
        assert_eq!(network_parent("container:0123"), Some("0123"));
        for mode in ["", "bridge", "host", "container:", "app_default"] {
            assert_eq!(network_parent(mode), None, "{mode}");
        }
    }
}
