//! Runs one HPACK workload on one codec: its time, or under valgrind its instructions.

fn main() -> std::process::ExitCode {
    thalweg_bench::codec::program::main()
}
