//! The names and arities of functions and aggregates.
//!
//! One table says what there is; CAST, POSITION and TRIM also have words between their arguments, see `parse/call.rs`. What a
//! function computes is in `evaluate`.

/// A function of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the function of that name in docs/dql.md")]
pub enum Function {
    Abs,
    ArrayContains,
    ArrayContainsNull,
    ArrayLength,
    ByteLength,
    Cast,
    Ceil,
    CharLength,
    Clock,
    Coalesce,
    Concat,
    Contains,
    DateAdd,
    DateCast,
    DateDiff,
    DateFormat,
    DatePart,
    DateRange,
    DateSub,
    DateTrunc,
    Decode,
    DeserializeJson,
    DurationCast,
    DurationFormat,
    EndsWith,
    Floor,
    IfMissing,
    IfMissingOrNull,
    IfNull,
    IsBoolean,
    IsMissing,
    IsMissingOrNull,
    IsNull,
    IsNumber,
    IsString,
    JoinStr,
    Lower,
    LPad,
    LTrim,
    MissingIf,
    NullIf,
    Nvl,
    ObjectConcat,
    ObjectKeys,
    ObjectLength,
    ObjectRename,
    ObjectSet,
    ObjectUnset,
    ObjectValues,
    Pos,
    RegexpLike,
    Repeat,
    RequestInfo,
    RPad,
    RTrim,
    SerializeJson,
    Split,
    StartsWith,
    Substr,
    Trim,
    Type,
    TzOffset,
    Upper,
}

/// Name, function, fewest and most arguments. The first name of a function is the one that is printed.
const FUNCTIONS: [(&str, Function, usize, usize); 66] = [
    ("abs", Function::Abs, 1, 1),
    ("array_contains", Function::ArrayContains, 2, 2),
    ("array_contains_null", Function::ArrayContainsNull, 1, 1),
    ("array_length", Function::ArrayLength, 1, 1),
    ("byte_length", Function::ByteLength, 1, 1),
    ("cast", Function::Cast, 2, 2),
    ("ceil", Function::Ceil, 1, 1),
    ("char_length", Function::CharLength, 1, 1),
    ("character_length", Function::CharLength, 1, 1),
    ("clock", Function::Clock, 0, 2),
    ("coalesce", Function::Coalesce, 1, MANY),
    ("concat", Function::Concat, 1, MANY),
    ("contains", Function::Contains, 2, 2),
    ("date_add", Function::DateAdd, 3, 3),
    ("date_cast", Function::DateCast, 1, 3),
    ("date_diff", Function::DateDiff, 3, 3),
    ("date_format", Function::DateFormat, 2, 3),
    ("date_part", Function::DatePart, 2, 3),
    ("date_range", Function::DateRange, 3, 4),
    ("date_sub", Function::DateSub, 3, 3),
    ("date_trunc", Function::DateTrunc, 2, 3),
    ("decode", Function::Decode, 3, MANY),
    ("deserialize_json", Function::DeserializeJson, 1, 1),
    ("duration_cast", Function::DurationCast, 1, 1),
    ("duration_format", Function::DurationFormat, 1, 1),
    ("ends_with", Function::EndsWith, 2, 2),
    ("floor", Function::Floor, 1, 1),
    ("ifmissing", Function::IfMissing, 2, MANY),
    ("ifmissingornull", Function::IfMissingOrNull, 2, MANY),
    ("ifnull", Function::IfNull, 2, MANY),
    ("is_boolean", Function::IsBoolean, 1, 1),
    ("is_number", Function::IsNumber, 1, 1),
    ("is_string", Function::IsString, 1, 1),
    ("ismissing", Function::IsMissing, 1, 1),
    ("ismissingornull", Function::IsMissingOrNull, 1, 1),
    ("isnull", Function::IsNull, 1, 1),
    ("joinstr", Function::JoinStr, 2, 2),
    ("lower", Function::Lower, 1, 1),
    ("lpad", Function::LPad, 2, 3),
    ("ltrim", Function::LTrim, 1, 2),
    ("missingif", Function::MissingIf, 2, 2),
    ("nullif", Function::NullIf, 2, 2),
    ("nvl", Function::Nvl, 2, 3),
    ("object_concat", Function::ObjectConcat, 1, MANY),
    ("object_keys", Function::ObjectKeys, 1, 1),
    ("object_length", Function::ObjectLength, 1, 1),
    ("object_rename", Function::ObjectRename, 3, 3),
    ("object_set", Function::ObjectSet, 3, 3),
    ("object_size", Function::ObjectLength, 1, 1),
    ("object_unset", Function::ObjectUnset, 2, 2),
    ("object_values", Function::ObjectValues, 1, 1),
    ("pos", Function::Pos, 2, 2),
    ("regexp_like", Function::RegexpLike, 2, 3),
    ("repeat", Function::Repeat, 2, 2),
    ("request_info", Function::RequestInfo, 0, 0),
    ("rpad", Function::RPad, 2, 3),
    ("rtrim", Function::RTrim, 1, 2),
    ("serialize_json", Function::SerializeJson, 1, 1),
    ("split", Function::Split, 1, 2),
    ("starts_with", Function::StartsWith, 2, 2),
    ("substr", Function::Substr, 2, 3),
    ("trim", Function::Trim, 1, 2),
    ("type", Function::Type, 1, 1),
    ("json_type", Function::Type, 1, 1),
    ("tz_offset", Function::TzOffset, 0, 2),
    ("upper", Function::Upper, 1, 1),
];

/// The types that `cast` knows.
pub(crate) const CAST_TYPES: [&str; 5] = ["string", "integer", "float", "boolean", "binary"];

const MANY: usize = 1 << 20;

/// What a name in front of a parenthesis is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// A function with its fewest and most arguments.
    Built(Function, usize, usize),
    /// No function; the nearest name of one.
    Unknown(Option<&'static str>),
}

/// Looks a function up, in any case of letters.
pub(crate) fn find(name: &str) -> Named {
    if let Some((_, function, min, max)) = FUNCTIONS.iter().find(|entry| entry.0.eq_ignore_ascii_case(name)) {
        return Named::Built(*function, *min, *max);
    }
    let names = FUNCTIONS.iter().map(|entry| entry.0).chain(Aggregate::ALL.map(Aggregate::name));
    Named::Unknown(names.into_iter().find(|known| crate::error::near(name, known)))
}

impl Function {
    /// Returns the name that is printed.
    pub fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|entry| entry.1 == self).map_or("", |entry| entry.0)
    }
}

/// A function of a group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The mean of the numbers.
    Avg,
    /// How many rows; with an argument, how many values that are not null, missing or false.
    Count,
    /// The greatest value.
    Max,
    /// The middle one of the numbers in order, or the mean of the two in the middle.
    Median,
    /// The mean of the least and the greatest number.
    Mid,
    /// The least value.
    Min,
    /// The sum of the numbers.
    Sum,
}

impl Aggregate {
    /// All aggregates.
    pub const ALL: [Aggregate; 7] = [
        Aggregate::Avg,
        Aggregate::Count,
        Aggregate::Max,
        Aggregate::Median,
        Aggregate::Mid,
        Aggregate::Min,
        Aggregate::Sum,
    ];

    /// Returns the name that is printed.
    pub fn name(self) -> &'static str {
        match self {
            Aggregate::Avg => "AVG",
            Aggregate::Count => "COUNT",
            Aggregate::Max => "MAX",
            Aggregate::Median => "MEDIAN",
            Aggregate::Mid => "MID",
            Aggregate::Min => "MIN",
            Aggregate::Sum => "SUM",
        }
    }

    /// Looks an aggregate up, in any case of letters.
    pub(crate) fn find(name: &str) -> Option<Aggregate> {
        Aggregate::ALL.into_iter().find(|aggregate| aggregate.name().eq_ignore_ascii_case(name))
    }
}
