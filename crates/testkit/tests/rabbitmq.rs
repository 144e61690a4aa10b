//! A node starts, dies, comes back and goes.

use std::time::{Duration, Instant};

use wissel_testkit::{RabbitMq, Resource};

#[tokio::test]
async fn a_node_can_be_killed_and_started_again() {
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    assert!(rabbitmq.control(&["list_queues"]).await.is_ok());
    let running = rabbitmq.control(&["eval", "rabbit_misc:version()."]).await.unwrap();
    let is_4 = running.contains("\"4.") || running.contains("<<\"4.");
    assert_eq!(
        is_4,
        std::env::var("WISSEL_TEST_RABBITMQ").is_ok_and(|one| one == "4"),
        "{running}"
    );
    rabbitmq.kill().await.unwrap();
    assert!(rabbitmq.control(&["list_queues"]).await.is_err());
    rabbitmq.start_again().await.unwrap();
    rabbitmq.stop().await.unwrap();
    rabbitmq.start_again().await.unwrap();
    let url = rabbitmq.url();
    let port: u16 = url.split([':', '/']).find_map(|part| part.parse().ok()).unwrap();
    drop(rabbitmq);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn a_node_does_at_once_what_it_was_readied_for() {
    let time = Duration::from_millis(300);
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    for (of, name) in [(Resource::Disk, "disk"), (Resource::Memory, "memory")] {
        let alarm = rabbitmq.ready_to_run_short(of, time).await.unwrap();
        let begun = Instant::now();
        let alarms = alarm.go().await.unwrap();
        assert!(begun.elapsed() >= time, "{:?}", begun.elapsed());
        assert!(alarms.contains("resource_limit") && alarms.contains(name), "{alarms}");
        let left = rabbitmq.control(&["eval", "rabbit_alarm:get_alarms()."]).await.unwrap();
        assert_eq!(left.trim(), "[]");
    }
    let stop = rabbitmq.ready_to_stop().await.unwrap();
    assert_eq!(stop.go().await.unwrap(), "ok");
    assert!(rabbitmq.control(&["list_queues"]).await.is_err());
    rabbitmq.kill().await.unwrap();
    rabbitmq.start_again().await.unwrap();
    assert!(rabbitmq.control(&["list_queues"]).await.is_ok());
}
