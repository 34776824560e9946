//! Who is calling: verifiers that claim or pass a request.
