//! The messages of `proto/smlp.proto`, and the names of its service.
//!
//! Three small messages do not earn a code generator and the compiler that it needs; the test below
//! compares every field with the file.

use bytes::Bytes;

/// The service's full name.
pub const SERVICE_NAME: &str = "smlp.v1.KeyServer";

/// The path of its method that answers.
pub(super) const ANSWER: &str = "/smlp.v1.KeyServer/Answer";

/// The path of its method that describes the server.
pub(super) const DESCRIBE: &str = "/smlp.v1.KeyServer/Describe";

/// Metadata that says when to come again, in milliseconds.
pub(super) const RETRY_AFTER: &str = "retry-after-ms";

/// A part of a message.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Chunk {
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
}

/// Asks for a [`Description`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DescribeRequest {}

/// What a key server is, and what the caller may use it for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Description {
    /// Of the messages inside the chunks; [`super::PROTOCOL_VERSION`] here.
    #[prost(uint32, tag = "1")]
    pub protocol_version: u32,
    /// Of the software, for people.
    #[prost(string, tag = "2")]
    pub server_version: String,
    /// The keys that the caller may use.
    #[prost(message, repeated, tag = "3")]
    pub keys: Vec<KeyDescription>,
    /// Bytes of a request, at most.
    #[prost(uint64, tag = "4")]
    pub max_request_bytes: u64,
    /// Masked values of a request, at most.
    #[prost(uint64, tag = "5")]
    pub max_request_values: u64,
    /// Masked values a second, in the long run; 0 for no limit.
    #[prost(uint64, tag = "6")]
    pub values_per_second: u64,
    /// Calls of one client at a time.
    #[prost(uint32, tag = "7")]
    pub concurrent_calls: u32,
}

/// A key of a server.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyDescription {
    /// What requests name it by.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Bits of N.
    #[prost(uint32, tag = "2")]
    pub bits: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    /// Name and number of each field of a message in `proto/smlp.proto`.
    fn fields(message: &str) -> Vec<(String, u32)> {
        let file = include_str!("../../../proto/smlp.proto");
        let body = file
            .split(&format!("message {message} {{"))
            .nth(1)
            .unwrap_or_else(|| panic!("no message {message}"));
        let lines = body.split('}').next().unwrap().lines();
        lines
            .filter(|line| !line.trim_start().starts_with("//"))
            .filter_map(|line| line.trim().strip_suffix(';')?.split_once(" = "))
            .map(|(declared, number)| {
                let name = declared.rsplit(' ').next().unwrap();
                (name.to_owned(), number.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn the_proto_file_says_the_same() {
        let file = include_str!("../../../proto/smlp.proto");
        let (package, service) = SERVICE_NAME.rsplit_once('.').unwrap();
        assert!(file.contains(&format!("package {package};")));
        assert!(file.contains(&format!("service {service} {{")));
        for (path, signature) in [
            (ANSWER, "(stream Chunk) returns (stream Chunk)"),
            (DESCRIBE, "(DescribeRequest) returns (Description)"),
        ] {
            let method = path
                .strip_prefix(&format!("/{SERVICE_NAME}/"))
                .expect("a method of the service");
            assert!(
                file.contains(&format!("rpc {method}{signature};")),
                "{method}"
            );
        }

        let field = |name: &str, number| (name.to_owned(), number);
        assert_eq!(fields("Chunk"), [field("data", 1)]);
        assert_eq!(fields("Key"), [field("id", 1), field("bits", 2)]);
        assert_eq!(fields("DescribeRequest"), []);
        let expected = [
            "protocol_version",
            "server_version",
            "keys",
            "max_request_bytes",
            "max_request_values",
            "values_per_second",
            "concurrent_calls",
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .zip(1..)
            .map(|(n, i)| field(n, i))
            .collect();
        assert_eq!(fields("Description"), expected);
    }

    #[test]
    fn encodings_are_those_of_the_numbers() {
        let chunk = Chunk {
            data: Bytes::from_static(b"ab"),
        };
        assert_eq!(chunk.encode_to_vec(), [0x0a, 2, b'a', b'b']);
        let description = Description {
            protocol_version: 1,
            server_version: "v".into(),
            keys: vec![KeyDescription {
                id: vec![9],
                bits: 5,
            }],
            max_request_bytes: 2,
            max_request_values: 3,
            values_per_second: 4,
            concurrent_calls: 6,
        };
        let bytes = [
            0x08, 1, 0x12, 1, b'v', 0x1a, 5, 0x0a, 1, 9, 0x10, 5, 0x20, 2, 0x28, 3, 0x30, 4, 0x38,
            6,
        ];
        assert_eq!(description.encode_to_vec(), bytes);
        assert_eq!(Description::decode(&bytes[..]), Ok(description));
    }
}
