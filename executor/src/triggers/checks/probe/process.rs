//! A container's processes, by the engine's own `ps`.

use std::time::Duration;

use super::Tried;
use crate::docker::{Client, Processes};
use crate::pattern::Pattern;

pub(super) async fn run(
    docker: &Client,
    container_id: &str,
    pattern: &Pattern,
    timeout: Duration,
) -> Tried {
    match docker.top(container_id, timeout).await {
        Ok(Some(processes)) => judge(&processes, pattern),
        // It ends between two looks: the next one will say so.
        Ok(None) => Tried::unable("the container is gone"),
        Err(e) => Tried::unable(e.to_string()),
    }
}

fn judge(processes: &Processes, pattern: &Pattern) -> Tried {
    let is_command = |title: &String| ["CMD", "COMMAND", "ARGS"].contains(&&*title.to_uppercase());
    let Some(column) = processes.titles.iter().position(is_command) else {
        let titles = processes.titles.join(" ");
        return Tried::unable(format!("no column CMD or COMMAND among {titles:?}"));
    };
    let rows = processes.rows.as_deref().unwrap_or_default();
    let mut commands = rows.iter().filter_map(|row| row.get(column));
    match commands.any(|command| pattern.is_in(command.as_bytes())) {
        true => Tried::Passed,
        false => Tried::failed(format!("none of {} processes matches", rows.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(reply: &str, pattern: &str) -> Tried {
        let processes: Processes = serde_json::from_str(reply).unwrap();
        judge(&processes, &Pattern::new(pattern).unwrap())
    }

    #[test]
    fn the_command_line_is_what_counts() {
        let docker = r#"{"Titles":["UID","PID","CMD"],"Processes":[["worker","1","sh run.sh"],["root","7","python train.py --fast"]]}"#;
        assert_eq!(verdict(docker, r"train\.py"), Tried::Passed);
        let none = Tried::failed("none of 2 processes matches");
        assert_eq!(verdict(docker, "worker"), none);
        let podman = r#"{"Titles":["USER","PID","COMMAND"],"Processes":[["root","1","nginx -g"]]}"#;
        assert_eq!(verdict(podman, "^nginx"), Tried::Passed);
        for reply in [r#"{"Titles":["PID"],"Processes":[["1"]]}"#, "{}"] {
            assert!(
                matches!(verdict(reply, "x"), Tried::Unable { .. }),
                "{reply}"
            );
        }
        let empty = r#"{"Titles":["CMD"],"Processes":null}"#;
        assert_eq!(
            verdict(empty, "x"),
            Tried::failed("none of 0 processes matches")
        );
    }
}
