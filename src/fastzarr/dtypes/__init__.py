"""The data types by name, and the functions that look one up.

``from_numpy`` accepts a user's ``dtype`` argument; ``from_v2`` and ``from_v3`` parse metadata. All
return a ``DataType``, which converts back to a NumPy dtype, a name, and a fill value in JSON.
"""

from __future__ import annotations

from fastzarr.dtypes.base import DataType
from fastzarr.dtypes.complexes import SmallComplex
from fastzarr.dtypes.fixed import FixedLengthUTF32, NullTerminatedBytes, RawBytes
from fastzarr.dtypes.ml import SmallFloat, SmallInteger, SmallNumber
from fastzarr.dtypes.numeric import (
    Bool,
    Complex64,
    Complex128,
    Float16,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from fastzarr.dtypes.parse import (
    data_type_registry,
    from_numpy,
    from_v2,
    from_v3,
    parse_dtype,
    register_dtype,
)
from fastzarr.dtypes.struct import Struct
from fastzarr.dtypes.time import DateTime64, TimeDelta64
from fastzarr.dtypes.vlen import Bytes, ObjectType, String

# zarr-python 3's names.
VariableLengthUTF8 = String
VariableLengthBytes = Bytes
Structured = Struct
ZDType = DataType

__all__ = [
    "Bool",
    "Bytes",
    "Complex64",
    "Complex128",
    "DataType",
    "DateTime64",
    "FixedLengthUTF32",
    "Float16",
    "Float32",
    "Float64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "NullTerminatedBytes",
    "ObjectType",
    "RawBytes",
    "SmallComplex",
    "SmallFloat",
    "SmallInteger",
    "SmallNumber",
    "String",
    "Struct",
    "Structured",
    "TimeDelta64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "VariableLengthBytes",
    "VariableLengthUTF8",
    "ZDType",
    "data_type_registry",
    "from_numpy",
    "from_v2",
    "from_v3",
    "parse_dtype",
    "register_dtype",
]
