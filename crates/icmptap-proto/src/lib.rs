//! The icmptap wire format, without I/O: encode requests, decode events.
