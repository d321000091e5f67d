"""NAL units of H.264 and HEVC with only the fields that say the order of frames."""

START = b"\x00\x00\x00\x01"


class BitWriter:
    """Collects fields; `payload` ends them as a NAL unit's payload ends."""

    def __init__(self) -> None:
        self._bits = ""

    def put(self, *fields: tuple[int, int]) -> "BitWriter":
        """Add numbers with their widths."""
        for number, width in fields:
            self._bits += f"{number:0{width}b}" if width else ""
        return self

    def code(self, *numbers: int) -> "BitWriter":
        """Add Exp-Golomb codes."""
        for number in numbers:
            digits = f"{number + 1:b}"
            self._bits += "0" * (len(digits) - 1) + digits
        return self

    def signed(self, *numbers: int) -> "BitWriter":
        """Add signed Exp-Golomb codes."""
        return self.code(*(2 * number - 1 if number > 0 else -2 * number for number in numbers))

    def payload(self) -> bytes:
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


def h264_sequence(
    *, order_type: int = 0, frames_only: bool = True, cycle: tuple[int, ...] = (), number_bits: int = 4
) -> bytes:
    """A parameter set of the main profile for 320x240, with 4 bits of order count."""
    bits = BitWriter().put((77, 8), (0, 8), (30, 8)).code(0, number_bits - 4, order_type)
    if order_type == 0:
        bits.code(0)
    elif order_type == 1:
        bits.put((0, 1)).signed(-1, 0).code(len(cycle)).signed(*cycle)
    bits.code(2).put((0, 1)).code(19, 14).put((frames_only, 1))
    return START + b"\x67" + bits.payload()


def h264_set() -> bytes:
    return START + b"\x68" + BitWriter().code(0, 0).put((1, 1), (0, 1)).payload()


def h264_slice(
    order: int,
    *,
    number: int = 0,
    idr: bool = False,
    reference: bool = True,
    first_block: int = 0,
    field: bool | None = None,
    order_type: int = 0,
    number_bits: int = 4,
) -> bytes:
    """A slice with these lower bits of its order count; `field`: the bottom field of a frame, or the top one."""
    bits = BitWriter().code(first_block, 7, 0).put((number % (1 << number_bits), number_bits))
    if field is not None:
        bits.put((1, 1), (field, 1))
    if idr:
        bits.code(0)
    if order_type == 0:
        bits.put((order % 16, 4))
    elif order_type == 1:
        bits.signed(order)
    return START + bytes([0x60 * reference | (5 if idr else 1)]) + bits.payload() + b"\xaa" * 20


def recovery_point() -> bytes:
    return START + b"\x06\x06\x01\x84\x80"


def hevc_unit(kind: int, bits: BitWriter, *, temporal: int = 0) -> bytes:
    return START + bytes([kind << 1, temporal + 1]) + bits.payload() + b"\xaa" * 20


def hevc_sets() -> bytes:
    """A sequence of 320x240 with 4 bits of order count, and a picture parameter set."""
    sequence = BitWriter().put((0, 4), (0, 3), (1, 1), (0, 96)).code(0, 1, 320, 240).put((0, 1)).code(0, 0, 0)
    chosen = BitWriter().code(0, 0).put((0, 1), (0, 1), (0, 3))
    return hevc_unit(33, sequence) + hevc_unit(34, chosen)


def hevc_slice(kind: int, order: int = 0, *, temporal: int = 0, first: bool = True) -> bytes:
    """A slice with these lower bits of its order count."""
    bits = BitWriter().put((first, 1))
    if 16 <= kind <= 23:
        bits.put((0, 1))
    bits.code(0, 1)
    if kind not in (19, 20):
        bits.put((order % 16, 4))
    return hevc_unit(kind, bits, temporal=temporal)
