//! The fuzzing target for answers of the gateway's API, or of whoever answers in its place.

use linedown_sinks::{Hidden, excerpt};

use super::answer::{self, Profile, QrCode, Standing};

/// Input: a byte that selects the question, then the body of the answer.
pub(crate) fn answer(data: &[u8]) {
    let Some((question, body)) = data.split_first() else { return };
    let body = String::from_utf8_lossy(body);
    match question % 4 {
        0 => {
            if let Ok(Standing::Down { error: Some(error) }) = answer::standing(&body, &Hidden::default()) {
                fits(&error);
            }
        }
        1 => {
            if let Ok(profile) = answer::profile(&body, &Hidden::default()) {
                holds(&profile);
            }
        }
        2 => {
            if let Ok(page) = answer::page(&body, &Hidden::default()) {
                assert!(page.members.len() <= page.entries);
                for member in &page.members {
                    fits(&member.instance);
                    holds(&member.profile);
                }
            }
        }
        _ => {
            if let Ok(QrCode::Png(image)) = answer::qr_code(&body) {
                assert!(image.starts_with(b"\x89PNG") && image.len() < body.len());
            }
        }
    }
}

/// A text that is kept from outside must be short and clean.
fn fits(text: &str) {
    assert!(!text.is_empty() && excerpt(text) == text, "{text:?}");
}

fn holds(profile: &Profile) {
    assert!(profile.due.is_none_or(|due| due.as_millisecond() > 0), "{profile:?}");
    profile.payment.as_deref().into_iter().for_each(fits);
    for webhook in super::Webhook::ALL {
        assert!(profile.registered(webhook).is_none_or(|address| !address.is_empty() && address.len() <= 4096));
    }
}
