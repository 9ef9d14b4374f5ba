//! The core on a microcontroller: a device without std, and an in-memory UART in place of its
//! hardware.
//!
//! `no_std_loop/device.rs` is the firmware: a loop that never waits, and transfers 16 bytes at a
//! time. This file simulates the board and the client at the other end.

extern crate alloc;

#[path = "no_std_loop/device.rs"]
mod device;

use std::collections::VecDeque;
use std::error::Error;

use device::{Device, Line};
use thalweg::{Client, Config, Connection, Event, Instant, Request};

/// The two directions of the line, as seen by the device, and its timer.
#[derive(Default)]
struct Uart {
    receive: VecDeque<u8>,
    send: VecDeque<u8>,
    turns: u64,
}

impl Line for Uart {
    fn receive(&mut self, buf: &mut [u8]) -> usize {
        let len = self.receive.len().min(buf.len());
        buf.iter_mut().zip(self.receive.drain(..len)).for_each(|(place, byte)| *place = byte);
        len
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(FIFO_BYTES - self.send.len());
        self.send.extend(&bytes[..len]);
        len
    }

    fn now(&self) -> Instant {
        // 16 bytes at 115,200 baud take 1.4 ms.
        Instant::from_nanos(self.turns * 1_400_000)
    }
}

/// Sends a request over the line; returns status and content.
fn ask(
    client: &mut Connection<Client>,
    (device, uart): (&mut Device, &mut Uart),
    method: &str,
    content: &[u8],
) -> Result<(u16, Vec<u8>), Box<dyn Error>> {
    let request = Request::new(method, "http", "device", "/light");
    let stream = client.send_request(&request, [], content.is_empty())?;
    // The initial window is longer than any content here, so the core accepts all of it.
    if !content.is_empty() && client.send_data(stream, content, true)? < content.len() {
        return Err("content beyond the first window".into());
    }
    let (mut wire, mut status, mut answer) = (VecDeque::new(), 0, Vec::new());
    loop {
        let mut out = Vec::new();
        let _ = client.poll_transmit(&mut out);
        wire.extend(out);
        let room = FIFO_BYTES - uart.receive.len();
        uart.receive.extend(wire.drain(..room.min(wire.len())));
        uart.turns += 1;
        let moved = device.turn(uart);
        let came: Vec<u8> = uart.send.drain(..).collect();
        if !moved && came.is_empty() && wire.is_empty() && device.deadline().is_none_or(|at| at > uart.now())
        {
            return Err("nothing moves any more".into());
        }
        let mut input = &came[..];
        while let Some(event) = client.receive(&mut input, uart.now())? {
            let end = match event {
                Event::Headers { headers, end, .. } => {
                    status = headers.status().unwrap_or_default();
                    end
                }
                Event::Data { stream, data, end } => {
                    answer.extend_from_slice(data);
                    client.release(stream, data.len());
                    end
                }
                Event::Reset { code, .. } => return Err(format!("reset: {code}").into()),
                _ => false,
            };
            if end {
                return Ok((status, answer));
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    thalweg_examples::arguments::none("no_std_loop", "The core in the loop of a device without std");
    let (mut device, mut uart) = (Device::new(), Uart::default());
    let mut client = Connection::<Client>::new(Config::default())?;
    for (method, content) in [("GET", ""), ("PUT", "on"), ("GET", ""), ("PUT", "dimmed"), ("DELETE", "")] {
        let (status, answer) = ask(&mut client, (&mut device, &mut uart), method, content.as_bytes())?;
        println!("{method} /light {content}: {status} {}", answer.escape_ascii());
    }
    println!("{} turns; the connection holds {} bytes of heap", uart.turns, device.heap_bytes());
    println!("the light is {}", if device.is_light_on() { "on" } else { "off" });
    Ok(())
}

/// Capacity of the line's FIFO in each direction.
const FIFO_BYTES: usize = 16;
