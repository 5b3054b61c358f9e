//! The custom resources: types, defaults, validation rules, condition and reason names.
