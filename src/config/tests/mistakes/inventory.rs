//! Mistakes in `[instances]`.

use super::Mistake;

pub(super) const MISTAKES: &[Mistake] = &[
    (
        "[instances.A]\nlabels.tier = 'gold'\nlabels.owner = 'dono'",
        "warning 3:16 console uses this as a recipient, but cannot send to it",
        "",
    ),
    ("instances.A.labels.tier = 1", "1:27 wrong type: integer", ""),
    ("[instances.A]\nnmae = 'x'", "2:1 unknown key `nmae`", "did you mean `name`?"),
    (
        "[instances.instance.id]\nname = 'x'",
        "1:21 unknown key `id`",
        "an identifier with a dot needs quotes: [instances.\"instance.id\"]",
    ),
    (
        "[instances.A]\nname = 'x'\n[instances.B]\nname = 'x'",
        "warning 4:8 instance A has the name \"x\" as well",
        "messages show the name",
    ),
    ("[instances.\"\"]\nname = 'x'", "1:1 this cannot be the identifier of an instance", ""),
    ("instances.A = 'Loja'", "1:15 wrong type: string", "write `[instances.ID]`"),
];
