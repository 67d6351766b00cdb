"""Google Tink as the oracle of the streaming ciphertext: its own key type, with segments of 256 KiB."""

import io

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

TYPE_URL = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"


def primitive(key: bytes, segment_size: int = 262144) -> streaming_aead.StreamingAead:
    """Tink's AES256_GCM_HKDF primitive over a raw key of 32 bytes."""
    streaming_aead.register()
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=segment_size, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=params, key_value=key)
    data = tink_pb2.KeyData(
        type_url=TYPE_URL, value=value.SerializeToString(), key_material_type=tink_pb2.KeyData.SYMMETRIC
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    keyset.key.add(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


class _Open(io.BytesIO):
    """Tink closes what it writes to; the bytes are still wanted."""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


def tink_encrypt(key: bytes, associated_data: bytes, plaintext: bytes) -> bytes:
    """What Tink makes of ``plaintext``."""
    sink = _Open()
    with primitive(key).new_encrypting_stream(sink, associated_data) as stream:
        stream.write(plaintext)
    return sink.kept


def tink_decrypt(key: bytes, associated_data: bytes, ciphertext: bytes) -> bytes:
    """What Tink reads out of ``ciphertext``; TinkError when it is not authentic."""
    with primitive(key).new_decrypting_stream(io.BytesIO(ciphertext), associated_data) as stream:
        return stream.read()
