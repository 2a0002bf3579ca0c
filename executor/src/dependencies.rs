//! Which containers another one depends on: by the configuration, by Compose's label, by a
//! shared network. Pure.
//!
//! Keeps true: nothing depends on itself, in however many steps: a cycle in the configuration
//! is a fault when it is read; what closes one among Compose's labels is left out.

use std::collections::{BTreeMap, BTreeSet};

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

/// The names of the containers that one with these labels depends on, by Compose's labels on
/// all that are there. A service that leads back to its own is left out.
pub fn compose_parents(labels: &BTreeMap<String, String>, all: &[Listed]) -> BTreeSet<String> {
    let (Some(project), Some(own)) = (labels.get(PROJECT), labels.get(SERVICE)) else {
        return BTreeSet::new();
    };
    let siblings: Vec<(&str, &Listed)> = all
        .iter()
        .filter(|one| one.labels.get(PROJECT) == Some(project))
        .filter_map(|one| Some((one.labels.get(SERVICE)?.as_str(), one)))
        .collect();
    let needs: Needs = siblings
        .iter()
        .map(|(service, one)| {
            let needed = services(&one.labels).into_iter().map(str::to_owned);
            ((*service).to_owned(), needed.collect())
        })
        .collect();
    let parents: BTreeSet<&str> = services(labels)
        .into_iter()
        .filter(|service| !leads_to(&needs, service, own))
        .collect();
    siblings
        .iter()
        .filter(|(service, _)| parents.contains(service))
        .map(|(_, one)| one.name.clone())
        .collect()
}

fn leads_to(needs: &Needs, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(service) = next.pop() {
        if service == to {
            return true;
        }
        let further = needs.get(service).into_iter().flatten();
        next.extend(further.map(String::as_str).filter(|one| seen.insert(one)));
    }
    false
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
        let parents = compose_parents(&web.labels, &all);
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        assert_eq!(parents, ["app-cache-1", "app-db-1"]);
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
        let parents = compose_parents(&a.labels, &all);
        assert_eq!(parents.into_iter().collect::<Vec<_>>(), ["app-d-1"]);
    }

    #[test]
    fn a_shared_network_names_its_container() {
        assert_eq!(network_parent("container:0123"), Some("0123"));
        for mode in ["", "bridge", "host", "container:", "app_default"] {
            assert_eq!(network_parent(mode), None, "{mode}");
        }
    }
}
