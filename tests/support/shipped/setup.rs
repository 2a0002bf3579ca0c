//! The configuration of a Fluent Bit under test: the project's own files with
//! their places replaced, and what a test changes or adds.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::ports::free_port;
use crate::support::tools::{plugin_so, repository_file};

/// What to configure.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    socket: PathBuf,
    pub(super) port: u16,
    /// From, to; in `fluent-bit.conf`.
    edits: Vec<(String, String)>,
    sections: String,
    parsers: String,
}

impl Setup {
    /// `conf/fluent-bit.conf` with this intent socket.
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.into(),
            port: free_port(),
            edits: Vec::new(),
            sections: String::new(),
            parsers: String::new(),
        }
    }

    /// Replaces words of `conf/fluent-bit.conf`; they have to be there.
    pub(crate) fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Takes the last edit back.
    pub(crate) fn without_last_edit(mut self) -> Self {
        self.edits.pop().expect("there is an edit");
        self
    }

    /// Follows this file instead of the containers of its own directory.
    pub(crate) fn tailing(self, log: &Path) -> Self {
        let log = log.to_str().expect("UTF-8");
        self.edit("${HEALER_CONTAINERS}/*/*-json.log", log)
    }

    /// Adds sections; `{dir}` in them is its directory.
    pub(crate) fn add(mut self, sections: &str) -> Self {
        self.sections += &format!("\n{sections}\n");
        self
    }

    /// Adds to `parsers.conf`.
    pub(crate) fn add_parser(mut self, section: &str) -> Self {
        self.parsers += &format!("\n{section}\n");
        self
    }

    /// Another output beside the plugin, which writes every record to a file.
    pub(crate) fn with_a_second_output(self) -> Self {
        self.add(
            "[OUTPUT]\n    Name file\n    Match docker.*\n    Path {dir}\n    \
             File second-output.txt\n    storage.total_limit_size 64M",
        )
    }

    /// Writes the files.
    pub(super) fn install(&self, dir: &Path) {
        let at = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
        let mut conf = repository_file("conf/fluent-bit.conf");
        let places = [
            ("HEALER_CONF=/etc/healer", format!("HEALER_CONF={}", at(""))),
            ("/var/lib/docker/containers", at("containers")),
            ("/var/lib/fluent-bit", at("state")),
            (
                "/run/healer/intents.sock",
                self.socket.to_str().expect("UTF-8").to_owned(),
            ),
            ("HTTP_PORT=2020", format!("HTTP_PORT={}", self.port)),
        ];
        let places = places.map(|(from, to)| (from.to_owned(), to));
        for (from, to) in places.iter().chain(&self.edits) {
            assert!(conf.contains(from.as_str()), "no {from:?} in {conf}");
            conf = conf.replace(from, to);
        }
        conf += &self.sections.replace("{dir}", &at(""));
        fs::write(at("fluent-bit.conf"), conf).expect("written");

        let parsers = repository_file("conf/parsers.conf") + &self.parsers;
        fs::write(at("parsers.conf"), parsers).expect("written");

        let so = plugin_so();
        let so = so.to_str().expect("UTF-8");
        let plugins = repository_file("conf/plugins.conf");
        let installed = "/usr/local/lib/log-healer/out_healer.so";
        assert!(plugins.contains(installed), "{plugins}");
        fs::write(at("plugins.conf"), plugins.replace(installed, so)).expect("written");
    }
}
