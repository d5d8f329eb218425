//! How many of the requests in progress at an application may be those of one address.
//!
//! Whoever floods from many addresses would take every slot of an application, and whoever comes later
//! would get none. So an eighth of the slots is kept for visitors who are signed in. Once half of the
//! slots are taken, an address gets no more than its share of those that are free.

/// How many slots there are for visitors of this kind.
pub(super) fn slots(size: usize, is_signed_in: bool) -> usize {
    if is_signed_in { size } else { size - size / KEPT_FOR_SIGNED_IN }
}

/// Whether an address that has `of_address` requests in progress, this one among them, has more than
/// its share while `taken` of the `slots` are taken.
pub(super) fn is_over(of_address: usize, taken: usize, slots: usize, is_signed_in: bool) -> bool {
    if taken < slots / 2 {
        return false;
    }
    let free = slots.saturating_sub(taken);
    let share = if is_signed_in { free } else { free / SHARE_OF_STRANGERS };
    of_address > share.max(1)
}

/// One in so many slots is kept for visitors who are signed in.
const KEPT_FOR_SIGNED_IN: usize = 8;
/// An address of visitors who are not signed in gets one in so many of the free slots.
const SHARE_OF_STRANGERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many slots are taken in the end if so many addresses take as many as they get.
    fn taken_by(addresses: usize, size: usize, is_signed_in: bool) -> usize {
        let slots = slots(size, is_signed_in);
        let (mut taken, mut of_each) = (0, 0);
        loop {
            let before = taken;
            of_each += 1;
            for _ in 0..addresses {
                if taken < slots && !is_over(of_each, taken, slots, is_signed_in) {
                    taken += 1;
                }
            }
            if taken == before {
                return taken;
            }
        }
    }

    #[test]
    fn few_addresses_leave_half_and_many_leave_slots_for_others() {
        assert_eq!(taken_by(1, 5_000, false), 2_187);
        assert_eq!(taken_by(10, 5_000, false), 2_187);
        for (addresses, leave) in [(50, 1_000), (100, 550), (1_000, 64)] {
            let free = slots(5_000, false) - taken_by(addresses, 5_000, false);
            assert!(free >= leave, "{addresses}: {free}");
        }
    }

    #[test]
    fn whoever_is_signed_in_has_slots_that_strangers_never_take() {
        let taken = taken_by(10_000, 5_000, false);
        assert_eq!(taken, 4_375);
        assert!(!is_over(300, taken, slots(5_000, true), true));
        assert!(is_over(700, taken, slots(5_000, true), true));
    }

    #[test]
    fn an_address_with_nothing_in_progress_is_never_over_its_share() {
        for taken in [0, 7, 13, 14, 15, 16, 17, usize::MAX] {
            for is_signed_in in [false, true] {
                assert!(!is_over(1, taken, slots(16, is_signed_in), is_signed_in));
            }
        }
    }
}
