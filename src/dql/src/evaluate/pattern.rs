//! LIKE: `%` stands for any text, `_` for one character; the escape character, `\` unless said otherwise, takes the next
//! character as it is. Time is at most the product of the lengths; there is no recursion.

use crate::ast::Case;

/// Says whether the whole text matches the pattern.
pub(crate) fn matches(text: &str, pattern: &str, escape: Option<char>, case: Case) -> bool {
    match case {
        Case::Sensitive => matches_exactly(text, pattern, escape.unwrap_or('\\')),
        Case::Insensitive => {
            matches_exactly(&text.to_lowercase(), &pattern.to_lowercase(), escape.unwrap_or('\\').to_ascii_lowercase())
        }
    }
}

/// What one place of a pattern asks for.
enum Wanted {
    AnyText,
    AnyCharacter,
    Character(char),
    Nothing,
}

fn matches_exactly(text: &str, pattern: &str, escape: char) -> bool {
    let (mut text_rest, mut pattern_rest) = (text, pattern);
    // Where to go back to: the pattern after the last `%`, and the text it has not swallowed yet.
    let mut back: Option<(&str, &str)> = None;
    loop {
        let (wanted, pattern_after) = next_wanted(pattern_rest, escape);
        let mut characters = text_rest.chars();
        let character = characters.next();
        let fits = match (wanted, character) {
            (Wanted::AnyText, _) => {
                back = Some((pattern_after, text_rest));
                pattern_rest = pattern_after;
                continue;
            }
            (Wanted::Nothing, None) => return true,
            (Wanted::AnyCharacter, Some(_)) => true,
            (Wanted::Character(wanted), Some(character)) => wanted == character,
            (Wanted::Nothing, Some(_)) | (Wanted::AnyCharacter | Wanted::Character(_), None) => false,
        };
        if fits {
            (text_rest, pattern_rest) = (characters.as_str(), pattern_after);
            continue;
        }
        let Some((pattern_back, text_back)) = back else { return false };
        let mut swallowed = text_back.chars();
        if swallowed.next().is_none() {
            return false;
        }
        back = Some((pattern_back, swallowed.as_str()));
        (text_rest, pattern_rest) = (swallowed.as_str(), pattern_back);
    }
}

#[inline(always)]
fn next_wanted(pattern: &str, escape: char) -> (Wanted, &str) {
    let mut characters = pattern.chars();
    let wanted = match characters.next() {
        None => Wanted::Nothing,
        Some(character) if character == escape => Wanted::Character(characters.next().unwrap_or(escape)),
        Some('%') => Wanted::AnyText,
        Some('_') => Wanted::AnyCharacter,
        Some(character) => Wanted::Character(character),
    };
    (wanted, characters.as_str())
}
