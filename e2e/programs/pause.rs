//! Holds the namespaces of a pod: it does nothing, for as long as it is let.

fn main() {
    loop {
        std::thread::park();
    }
}
