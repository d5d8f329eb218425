//! AAGUIDs: what an authenticator says of its model (WebAuthn §6.5.1, "aaguid").
//!
//! Without a verified attestation it proves nothing. So a known one only names a key on pages.

use std::fmt;
use std::str::FromStr;

/// The model of an authenticator, as it says itself; zeros if it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aaguid(pub [u8; 16]);

impl Aaguid {
    /// Whether it names no model.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 16]
    }

    /// Whether other models have the name of this one, too.
    pub fn shares_its_name(self) -> bool {
        let name = self.model();
        name.is_some() && MODELS.iter().filter(|(_, each)| Some(*each) == name).count() > 1
    }

    /// The name of this model, if it is one of those that are common.
    pub fn model(self) -> Option<&'static str> {
        MODELS.iter().find(|(aaguid, _)| *aaguid == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            // RFC 9562 §4: hyphens after the bytes 4, 6, 8 and 10.
            let hyphen = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// The text is not an AAGUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an AAGUID, such as 2fc0579f-8113-47ea-b116-bb5a8db9202a")]
pub struct NotAnAaguid;

impl FromStr for Aaguid {
    type Err = NotAnAaguid;

    /// Reads the form in which it is displayed; upper case and missing hyphens are accepted.
    fn from_str(text: &str) -> Result<Self, NotAnAaguid> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| is_hex);
        number.map(|number| Self(number.to_be_bytes())).ok_or(NotAnAaguid)
    }
}

const fn known(aaguid: u128, name: &'static str) -> ([u8; 16], &'static str) {
    (aaguid.to_be_bytes(), name)
}

/// Common models, from the FIDO Metadata Service and the community's list of passkey providers.
static MODELS: [([u8; 16], &str); 23] = [
    known(0x2fc0_579f_8113_47ea_b116_bb5a_8db9_202a, "YubiKey 5 with NFC"),
    known(0xfa2b_99dc_9e39_4257_8f92_4a30_d23c_4118, "YubiKey 5 with NFC"),
    known(0xee88_2879_721c_4913_9775_3dfc_ce97_072a, "YubiKey 5"),
    known(0xcb69_481e_8ff7_4039_93ec_0a27_29a1_54a8, "YubiKey 5"),
    known(0xc5ef_55ff_ad9a_4b9f_b580_adeb_afe0_26d0, "YubiKey 5Ci"),
    known(0xd852_2d9f_575b_4866_88a9_ba99_fa02_f35b, "YubiKey Bio"),
    known(0xf8a0_11f3_8c0a_4d15_8006_1711_1f9e_dc7d, "Security Key by Yubico"),
    known(0xb92c_3f9a_c014_4056_887f_140a_2501_163b, "Security Key by Yubico"),
    known(0x6d44_ba9b_f6ec_2e49_b930_0c8f_e920_cb73, "Security Key NFC by Yubico"),
    known(0x149a_2021_8ef6_4133_96b8_81f8_d5b7_f1f5, "Security Key NFC by Yubico"),
    known(0xea9b_8d66_4d01_1d21_3ce4_b6b4_8cb5_75d4, "Google Password Manager"),
    known(0xfbfc_3007_154e_4ecc_8c0b_6e02_0557_d7bd, "iCloud Keychain"),
    known(0xdd4e_c289_e01d_41c9_bb89_70fa_845d_4bf2, "iCloud Keychain"),
    known(0x0898_7058_cadc_4b81_b6e1_30de_50dc_be96, "Windows Hello"),
    known(0x9ddd_1817_af5a_4672_a2b9_3e3d_d950_00a9, "Windows Hello"),
    known(0x6028_b017_b1d4_4c02_b4b3_afcd_afc9_6bb2, "Windows Hello"),
    known(0xadce_0002_35bc_c60a_648b_0b25_f1f0_5503, "Chrome on Mac"),
    known(0xbada_5566_a7aa_401f_bd96_4561_9a55_120d, "1Password"),
    known(0xd548_826e_79b4_db40_a3d8_1111_6f7e_8349, "Bitwarden"),
    known(0x5311_26d6_e717_415c_9320_3d9a_a698_1239, "Dashlane"),
    known(0xb84e_4048_15dc_4dd0_8640_f4f6_0813_c8af, "NordPass"),
    known(0x0ea2_42b4_43c4_4a1b_8b17_dd6d_0b6b_aec6, "Keeper"),
    known(0x5341_4d53_554e_4700_0000_0000_0000_0000, "Samsung Pass"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aaguid_is_read_as_it_is_written_and_some_have_a_name() {
        let text = "2fc0579f-8113-47ea-b116-bb5a8db9202a";
        let aaguid: Aaguid = text.parse().unwrap();
        assert_eq!(aaguid.to_string(), text);
        assert_eq!(text.to_uppercase().replace('-', "").parse(), Ok(aaguid));
        assert_eq!(aaguid.model(), Some("YubiKey 5 with NFC"));
        assert!(aaguid.shares_its_name());
        let only: Aaguid = "c5ef55ff-ad9a-4b9f-b580-adebafe026d0".parse().unwrap();
        assert!(!only.shares_its_name() && !only.is_zero());
        assert_eq!(Aaguid([0; 16]).model(), None);
        assert!(Aaguid([0; 16]).is_zero() && !Aaguid([0; 16]).shares_its_name());
        for odd in ["", "2fc0579f", "+fc0579f-8113-47ea-b116-bb5a8db9202a", "YubiKey"] {
            assert_eq!(odd.parse::<Aaguid>(), Err(NotAnAaguid), "{odd}");
        }
    }
}
