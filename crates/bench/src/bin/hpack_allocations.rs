//! The same as `hpack`, with every allocation counted.

#[global_allocator]
static ALLOCATOR: thalweg_bench::allocator::Counting = thalweg_bench::allocator::Counting;

fn main() -> std::process::ExitCode {
    thalweg_bench::codec::program::main()
}
