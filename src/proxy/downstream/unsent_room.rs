//! Whether another response may be added to the bytes that wait for visitors.
//!
//! Nobody knows how large a response will be when the application is asked, and hundreds of kilobytes of
//! it may be here before its visitor has read anything. So the bytes of an address are compared with its
//! share when a request arrives, and again when a large response begins. The more wait in total, the
//! smaller is the share. So one who floods from many addresses does not keep out those who read.

use crate::config::Limits;
use crate::proxy::downstream::connection::Connection;
use crate::proxy::scan::InAnswer;

/// The limit that is reached, as in the configuration.
pub(in crate::proxy) const OF_ADDRESS: &str = "limits.unsent_mib_per_address";
pub(in crate::proxy) const IN_ALL: &str = "limits.unsent_mib";

/// The limit because of which the visitor of `connection` gets no more responses now; `None`: there is
/// room. Signed-in visitors have a larger share.
pub(in crate::proxy) fn lacking(
    connection: &Connection,
    limits: &Limits,
    is_signed_in: bool,
) -> Option<&'static str> {
    let all = HIDDEN * connection.unsent_in_all();
    let is_full = all > FULL * limits.unsent;
    let Some(address) = connection.address_limits() else { return is_full.then_some(IN_ALL) };
    let of_address = HIDDEN * address.unsent.bytes();
    if of_address > FULL * limits.unsent_per_address {
        return Some(OF_ADDRESS);
    }
    let shares = if is_signed_in { SIGNED_IN } else { 1 };
    let is_over = of_address > share(all, limits).saturating_mul(shares);
    (is_over || is_full && !is_signed_in).then_some(IN_ALL)
}

/// How many bytes may wait for one address if so many wait in `all`. Up to half the limit, only the
/// limit of the address counts. Above that, twice as many in all leave a sixteenth.
fn share(all: usize, limits: &Limits) -> usize {
    let most = FULL * limits.unsent_per_address;
    let fair = limits.unsent / 2;
    if all <= fair {
        return most;
    }
    let shrunk = |share: usize| share / WHOLE * (fair * WHOLE / all);
    (0..4).fold(most, |share, _| shrunk(share))
}

/// Whether so much of this response may wait that there must be room for it.
pub(in crate::proxy) fn may_be_large(there: InAnswer) -> bool {
    there.length.is_none_or(|length| length > SMALL)
}

/// A response that waits takes this many times the bytes that are counted: what the application has sent
/// after them is in Pingora's queue and in buffers.
const HIDDEN: usize = 4;
/// Above this many times a limit, nothing may be added.
const FULL: usize = 4;
/// How many times the share of others visitors have who are signed in.
const SIGNED_IN: usize = 16;
const SMALL: usize = 16 * 1024;
/// A share of one, in parts.
const WHOLE: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::proxy::downstream::listener::Entered;
    use crate::proxy::downstream::unsent::Total;
    use crate::proxy::request_limit::AddressLimits;

    const MIB: usize = 1 << 20;

    /// A connection of an address of its own for each number of bytes that wait there, in KiB.
    fn addresses(waiting: &[usize]) -> Vec<Arc<Connection>> {
        let all = Arc::<Total>::default();
        let connection = |kib: &usize| {
            let connection = Connection::new(1, [192, 0, 2, 1].into(), Entered::default(), 0);
            let connection = connection.with_limits(Arc::<AddressLimits>::default());
            let connection = Arc::new(connection.counted_in(Arc::clone(&all)));
            // Bytes of a stream are bytes of its connection, once.
            Connection::stream_of(&connection, 2, 0).waits_for(kib * 1024);
            connection
        };
        waiting.iter().map(connection).collect()
    }

    fn lack(connection: &Connection) -> Option<&'static str> {
        lacking(connection, &Limits::default(), false)
    }

    #[test]
    fn one_address_may_have_several_times_its_limit() {
        assert_eq!(lack(&addresses(&[8 * 1024])[0]), None);
        assert_eq!(lack(&addresses(&[32 * 1024 + 1])[0]), Some(OF_ADDRESS));
    }

    #[test]
    fn the_more_wait_in_all_the_fewer_for_each_and_others_are_served() {
        // Fifty addresses at which five responses wait, and one at which a single response waits.
        let mut waiting = vec![5 * 256; 50];
        waiting.extend([256, 0]);
        let connections = addresses(&waiting);
        assert_eq!(lack(&connections[0]), Some(IN_ALL));
        assert_eq!(lack(&connections[51]), None);
        assert!(lacking(&connections[0], &Limits::default(), true).is_none(), "a larger share");
        for connection in &connections[..25] {
            connection.waits_no_more_for(5 * 256 * 1024);
        }
        assert_eq!(lack(&connections[50]), None);
    }

    #[test]
    fn where_far_too_much_waits_only_those_are_served_who_are_signed_in() {
        let connections = addresses(&[vec![1024; 132], vec![0]].concat());
        assert_eq!(lack(&connections[132]), Some(IN_ALL));
        assert_eq!(lacking(&connections[132], &Limits::default(), true), None);
        assert_eq!(lacking(&connections[0], &Limits::default(), true), Some(IN_ALL));
    }

    #[test]
    fn a_trusted_proxy_has_no_share() {
        let all = Arc::<Total>::default();
        let proxy = Connection::new(1, [192, 0, 2, 1].into(), Entered::default(), 0);
        let proxy = proxy.counted_in(Arc::clone(&all));
        proxy.waits_for(100 * MIB);
        assert_eq!(lack(&proxy), None);
        proxy.waits_for(30 * MIB);
        assert_eq!(lack(&proxy), Some(IN_ALL));
    }

    #[test]
    fn no_limit_overflows() {
        let limits =
            Limits { unsent: 65_536 * MIB, unsent_per_address: 16_384 * MIB, ..Limits::default() };
        assert_eq!(share(limits.unsent, &limits), FULL * limits.unsent_per_address / 16);
        let limits = Limits { unsent: MIB, unsent_per_address: MIB, ..Limits::default() };
        assert_eq!(share(1 << 40, &limits), 0);
    }
}
