"""What reasons mean, in words: the codes are the code's, and each stands here (tests/architecture)."""

#: Of refusals on associations and of parts of store requests.
REFUSED = {
    "no-sop-uid": "the command set names no SOP Class UID or SOP Instance UID that could be one",
    "other-sop-class": "the Affected SOP Class UID is not the abstract syntax of the presentation context",
    "data-set-cut-short": "a length at the top level of the data set goes beyond its end",
    "other-study": "the instance is not of the study that the request names",
    "part-cut-short": "the part is no whole DICOM file",
    "no-storage-class": "the SOP class is not one of storage",
    "transfer-syntax": "no data set is stored in this transfer syntax",
    "no-association": "the association ends before the request can be taken",
    "unrecognized-operation": "the operation is not offered in this presentation context",
    "instance-too-large": "the data set is larger than `MAX_INSTANCE`, or than `MAX_INSTANCE_BY_CLASS` for its class",
    "disk-low": "less is free on the disk than is needed for what is already here (`DISK_RESERVE`, `DISK_FACTOR`)",
    "spool-not-locked": "the spool of this process has been taken away",
    "spool-closed": "the process is ending",
    "spool-*": "the disk refuses to write; `*` is its error, such as `enospc` or `eio`",
    "pdu-too-long": "the PDU is longer than the largest of its kind",
    "pdu-body": "the PDU comes more slowly than `MIN_THROUGHPUT`",
    "unrecognized-pdu": "the PDU has a type that there is not",
    "unexpected-pdu": "the PDU may not come at this point",
    "malformed-associate": "the A-ASSOCIATE-RQ cannot be decoded",
    "too-many-contexts": "more than 128 presentation contexts are proposed",
    "too-many-items": "the A-ASSOCIATE-RQ has more than 16,384 transfer syntaxes and items of user information",
    "pdv-cut": "a presentation data value is cut off",
    "pdv-length": "the length of a presentation data value goes beyond its PDU",
    "unknown-context": "the presentation context was not accepted",
    "stray-data": "a data set comes that no command announced",
    "command-in-command": "a command comes before the data set of the one before it, or is longer than 16 KiB",
    "malformed-command": "a command set cannot be read",
}

#: What is stored and flagged (docs/formats.md section 7).
FLAGGED = {
    "opaque-header": "the header cannot be read, or is beyond our bounds",
    "abridged-header": "the header is too long: its longest attributes, mostly sequences, are not in the index",
    "irregular-header": "the header breaks the standard, and a lenient reader could read it",
    "inflates-too-far": "a deflated data set grows beyond `INFLATE_BYTES` or `INFLATE_RATIO`; its header was read",
    "foreign-magic": "the file, its preamble or the data set, is a program, an archive or a document as well",
    "cut-short": "its pixels end before they should",
    "index-omitted": "its pixels have more than 4,096 fragments",
    "irregular-uid": "the SOP Instance UID is longer than 64 characters, or not of digits and dots",
    "other-uid": "the data set has another SOP Instance UID than the transfer said, which counts",
    "character-set": "a character set is unknown, or text is not written in the one that is told",
    "pixel-length": "native pixels are not as long as Rows, Columns, Samples per Pixel, Bits Allocated and Number of "
    "Frames say",
}

#: Of requests for storage commitment.
COMMITMENT = {
    "no-such-class": "the Requested SOP Class UID is not that of the Storage Commitment Push Model",
    "no-such-instance": "the Requested SOP Instance UID is not the well-known one",
    "no-such-action": "the Action Type ID is not 1",
    "too-many-instances": "more than 10,000 instances are named",
    "unreadable-request": "the action information cannot be read",
    "incomplete-request": "the Transaction UID or an instance is missing, or is no UID",
    "request-too-long": "the action information is longer than 4 MiB",
    "disk-refuses": "the request could not be made durable",
}

#: Of HTTP requests as a whole.
REQUEST = {
    "no-study-uid": "the study of the URL is no UID",
    "request-too-large": "the body is larger than `STOW_MAX_REQUEST`",
    "busy": "`STOW_MAX_REQUESTS` are being heard and all get on, or the peer has as many as it may; `Retry-After` says"
    " when",
    "gave-way": "the client did not get on, and its place was another's; `Retry-After` says when",
    "not-registered": "the registry (`PEERS_FILE`) has no peer for this token and address",
    "too-many-parts": "the body has more parts than `STOW_MAX_PARTS`",
    "too-slow": "the client is silent for `IDLE_TIMEOUT`, or slower than `MIN_THROUGHPUT`",
    "client-lost": "the client is gone",
    "content-encoding": "the body is compressed",
    "media-type": 'the body is neither `multipart/related; type="application/dicom"` nor `application/dicom`',
    "no-boundary": "`multipart/related` without a boundary",
    "part-media-type": "a part is not `application/dicom`: that part fails alone",
    "part-encoding": "a part is written down in base64 or the like: that part fails alone",
    "not-acceptable": "the client accepts neither JSON nor XML",
    "broken-multipart": "the body is not what RFC 2046 calls multipart, has more than 64 KiB before its first boundary,"
    " or a header of a part that goes on in another line",
    "multipart-cut-short": "the body ends before its last boundary",
}

#: Of reports on performed procedure steps.
STEP = {
    "no-such-class": "the SOP Class UID is not that of Modality Performed Procedure Step",
    "invalid-instance": "the SOP Instance UID is none",
    "unrecognized-operation": "the operation is not N-CREATE or N-SET",
    "unreadable-report": "the data set cannot be read",
    "duplicate-instance": "there is a step of this UID",
    "missing-attribute": "an attribute that must be there is missing",
    "missing-attribute-value": "an attribute that must have a value has none",
    "invalid-attribute-value": "the Performed Procedure Step Status is none that may be here",
    "no-such-instance": "there is no step of this UID",
    "step-has-ended": "the step is COMPLETED or DISCONTINUED (Error ID A710H)",
    "report-too-long": "the data set is longer than 4 MiB",
    "disk-refuses": "the report could not be made durable",
}

#: Of attempts to report a commitment.
NOT_REPORTED = {
    "no-call-back": "the association is over, and no address is known",
}


def meaning(words: dict[str, str], reason: str) -> str:
    """The sentence for a reason; the reason itself where nobody has written one."""
    return words.get(reason, reason.replace("-", " "))
