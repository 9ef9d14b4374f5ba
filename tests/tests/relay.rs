//! Connections of both adapters that are cut, half closed, reset or stalled at random points: the
//! program `relay` counts its heap, which needs a process of its own.

use std::process::Command;

#[test]
fn connections_that_break_at_random_points_leak_nothing() {
    let seed = std::env::var("SEED").unwrap_or_else(|_| "7".to_owned());
    let output = Command::new(env!("CARGO_BIN_EXE_relay")).args(["300", &seed]).output().expect("it starts");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("300 rounds").count(), 2, "{text}");
}
