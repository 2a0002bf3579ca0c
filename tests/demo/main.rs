//! `make demo`: a container runs out of GPU memory, its log line goes through the
//! plugin to the executor, and the Engine restarts it; seen with one's own eyes.
//!
//! Uses what is real on this machine and says so: Fluent Bit, else the test
//! suite's plugin host; the machine's Docker Engine, else a private one, else a
//! simulated one. The plugin and the executor are always the real ones, as built.
//!
//! Everything lies in a directory of its own and is gone at the end, also after
//! Ctrl-C. Not here: what a test should prove. This only shows.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod executor;
mod feed;
mod lines;
mod signals;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use executor::Executor;
use feed::{Feed, Source};
use stage::Stage;

/// From the container's start to its being healed: 3 s until it fails, and the
/// Engine's time on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const TICK: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    signals::watch();
    let Some(products) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("demo: say where libout_healer.so and healer are; `make demo` does");
        return ExitCode::from(2);
    };
    match demo(&products) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\ndemo: {why}");
            ExitCode::FAILURE
        }
    }
}

fn demo(products: &Path) -> Result<(), String> {
    let dir = tempfile::Builder::new()
        .prefix("log-healer-demo-")
        .tempdir()
        .map_err(|e| format!("no temporary directory: {e}"))?;
    let dir = dir.path();

    println!("\n== What this demo runs on");
    let mut stage = Stage::set(dir)?;
    println!("Docker Engine: {}", stage.whose());
    let plugin = products.join("libout_healer.so");
    let source = Source::find();
    println!("Fluent Bit:    {}", source.whose());
    println!("Plugin:        {}", plugin.display());
    println!("Executor:      {}", products.join("healer").display());
    go_on()?;

    println!("\n== The main job");
    let executor = Executor::start(dir, products, &stage)?;
    say("executor", "listens");
    let mut feed = source.start(dir, &plugin, &executor.intents(), stage.log_file(dir))?;
    stage.start()?;
    let before = stage.started_at();
    say(stage.name(), &format!("started, StartedAt {before}"));
    let after = wait_until_healed(&mut stage, &mut feed, &executor, &before)?;

    println!("\n== What happened");
    println!("StartedAt before: {before}");
    println!("StartedAt after:  {after}");
    if let Some(printed) = lines::failure_time(&stage.log_file(dir)) {
        println!("The line's time:  {printed}");
        let asked = lines::request_time(&executor.log());
        if let Some(ms) = asked.and_then(|asked| lines::millis_between(&printed, &asked)) {
            println!("From the line to the restart request: {ms} ms");
        }
        if let Some(ms) = lines::millis_between(&printed, &after) {
            let stop = stage.stop_timeout_s();
            println!(
                "From the line to running again: {ms} ms (the Engine gives it {stop} s to stop)"
            );
        }
    }
    println!(
        "\nlast_restart.json:\n{}",
        executor.last_restart()?.trim_end()
    );
    println!(
        "\nhealer status:\n{}",
        executor.cli(&["status"])?.trim_end()
    );
    println!("\n== It works. Cleaning up.");
    Ok(())
}

/// Shows what is printed meanwhile; gives the new StartedAt.
fn wait_until_healed(
    stage: &mut Stage,
    feed: &mut Feed,
    executor: &Executor,
    before: &str,
) -> Result<String, String> {
    let start = Instant::now();
    let mut shown = lines::Follower::new(stage.log_file(executor.dir()));
    let mut told = lines::Follower::new(executor.log_file());
    let mut show = |name: &str| {
        for line in shown.docker_lines() {
            say(name, &line);
        }
        for line in told.plain_lines() {
            say("executor", &line);
        }
    };
    loop {
        go_on()?;
        stage.tick()?;
        feed.tick()?;
        show(stage.name());
        let now = stage.started_at();
        if now != before && executor.last_restart().is_ok() {
            // What the container says after its restart is on its way.
            std::thread::sleep(Duration::from_millis(300));
            stage.tick()?;
            show(stage.name());
            return Ok(now);
        }
        if !executor.is_running() || start.elapsed() > PATIENCE {
            return Err(format!(
                "the container was not healed; the executor said:\n{}\n{}",
                executor.log(),
                feed.log()
            ));
        }
        std::thread::sleep(TICK);
    }
}

/// One event of the demo with its time.
fn say(who: &str, what: &str) {
    println!("{}  {who:<22} | {what}", lines::now());
}

/// Ends the demo in order after Ctrl-C.
fn go_on() -> Result<(), String> {
    if signals::asked_to_end() {
        return Err("interrupted; cleaning up".into());
    }
    Ok(())
}
