//! `wissel status` and `wissel top`, as an operator at a terminal sees them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::time::{Duration, Instant};

use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, event, wissel_binary};

/// A terminal of 110 by 24, wide enough for names, that ends when this is dropped.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open() -> Self {
        let terminal = Self { socket: format!("wissel-top-{}", std::process::id()) };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "24", "sh"]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen is so, and gives it.
    async fn shows(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if holds(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} is not shown:\n{screen}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).status();
    }
}

/// How `wissel status --json` ends, and what it prints.
fn status(gateway: &Gateway) -> (i32, String) {
    let mut command = Command::new(wissel_binary());
    command.args(["status", "--json", "--as", OPERATOR, "--server", &gateway.url()]);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_the_inbox_that_is_stuck() {
    let _alone = alone().await;
    let mut gateway = Gateway::start("embedded").await;
    let registry = gateway.client(REGISTRY);
    for number in 0..6 {
        registry.publish(&event("top", number)).await.unwrap();
    }
    // One inbox has a dead letter, and no receiver from then on.
    let stuck = format!("{}.inbox", PARTIES[2]);
    let mut open = gateway.client(PARTIES[2]).subscribe(&stuck).open().await.unwrap();
    open.next().await.unwrap().unwrap().reject("of no use").await.unwrap();
    open.close().await.unwrap();

    let (code, out) = status(&gateway);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["ready"]), (0, &serde_json::Value::Bool(true)), "{out}");

    let terminal = Terminal::open();
    let (binary, url) = (wissel_binary(), gateway.url());
    let command = format!("{} top --as operator --interval 0.5 --server {url}", binary.display());
    terminal.press(&[&format!("clear; {command}; echo ended with $?"), "Enter"]);
    let listed = |screen: &str| {
        screen.lines().any(|line| line.contains(&stuck) && line.contains("no receiver"))
    };
    terminal.shows("the inbox that is stuck", listed).await;
    // How long receipts and deliveries take, while some do.
    let other = format!("{}.inbox", PARTIES[0]);
    let mut other = gateway.client(PARTIES[0]).subscribe(other).open().await.unwrap();
    let publishing = registry.clone();
    let traffic = tokio::spawn(async move {
        for number in 0.. {
            publishing.publish(&event("latency", number)).await.unwrap();
            if number % 2 == 0 {
                other.next().await.unwrap().unwrap().acknowledge().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let latencies =
        |screen: &str| screen.contains("receipt p99") && screen.contains("delivery p99");
    terminal.shows("latencies", latencies).await;
    traffic.abort();
    terminal.press(&["/", "4000", "Enter"]);
    let others_gone = |screen: &str| !screen.contains(PARTIES[0]) && screen.contains(&stuck);
    terminal.shows("the filter", others_gone).await;
    terminal.press(&["Enter"]);
    terminal.shows("its dead letter", |screen| screen.contains("of no use")).await;
    terminal.press(&["m"]);
    let waits = |screen: &str| screen.contains("NOT SETTLED") && screen.contains("ready");
    terminal.shows("what waits in it", waits).await;
    terminal.press(&["m"]);
    terminal.shows("its dead letter again", |screen| screen.contains("of no use")).await;
    terminal.press(&["Enter"]);
    let letter = terminal.shows("the attempt", |screen| screen.contains("attempt 1")).await;
    assert!(letter.contains("of no use") && !letter.contains("999990019"), "{letter}");

    // The gateway goes away, and comes back.
    gateway.kill().await;
    terminal.shows("that it is gone", |screen| screen.contains("NOT REACHED")).await;
    assert_eq!(status(&gateway).0, 3);
    gateway.start_again().await;
    terminal.shows("that it is back", |screen| !screen.contains("NOT REACHED")).await;

    terminal.press(&["q"]);
    let restored = |screen: &str| screen.contains("ended with 0");
    terminal.shows("the terminal as it was", restored).await;
    assert_eq!(terminal.tmux(&["display", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
}
