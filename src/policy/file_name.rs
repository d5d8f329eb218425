//! What servers conclude from the name of a file.

/// The part before the extension: something before the last dot, and a letter after it.
pub(super) fn stem(segment: &[u8]) -> Option<&[u8]> {
    let dot = segment.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    let letter = segment.get(dot + 1).is_some_and(u8::is_ascii_alphabetic);
    letter.then_some(&segment[..dot])
}

/// Whether servers run files with this extension: PHP, CGI, Perl, Python, Ruby, ASP and ASP.NET,
/// ISAPI, JSP, Struts, `ColdFusion`.
pub(super) fn is_server_side(extension: &[u8]) -> bool {
    const FAMILIES: [&[u8]; 3] = [b"php", b"asp", b"jsp"];
    const OTHERS: [&[u8]; 17] = [
        b"phtml", b"phar", b"cgi", b"fcgi", b"pl", b"py", b"rb", b"ashx", b"asmx", b"axd", b"svc",
        b"dll", b"exe", b"do", b"action", b"cfm", b"cfc",
    ];
    let starts = |family: &[u8]| {
        extension.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
    };
    FAMILIES.into_iter().any(starts)
        || OTHERS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether a file with this name, without its extension, is the index file of its folder, in any
/// letter case.
pub(super) fn is_index(stem: &[u8]) -> bool {
    INDEX.iter().any(|name| stem.eq_ignore_ascii_case(name))
}

/// Names of index files.
pub(super) const INDEX: [&[u8]; 2] = [b"index", b"default"];
