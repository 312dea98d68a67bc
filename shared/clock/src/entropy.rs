/// `N` bytes from the operating system's generator, fit for keys and tokens.
///
/// A system that cannot deliver them would make every secret guessable. There is no value to
/// return and nothing a caller could do, so the process ends instead.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[allow(clippy::disallowed_methods, reason = "the one place that reads entropy")]
    let filled = getrandom::fill(&mut bytes);
    if filled.is_err() {
        std::process::abort();
    }
    bytes
}
