//! RFC 9113, a module for each section: how the core handles the peer's frames, and what it sends.
//!
//! Each test names the requirements of `requirements.toml` that it keeps.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

mod s10_limits;
mod s10_oversized_blocks;
mod s3_start;
mod s4_frames;
mod s5_1_states;
mod s5_3_dependencies;
mod s5_streams;
mod s6_5_settings;
mod s6_9_flow_control;
mod s6_9_held_content;
mod s6_9_short_frames_without_timeouts;
mod s6_9_silly_windows;
mod s6_frames;
mod s8_3_control_data;
mod s8_messages;
