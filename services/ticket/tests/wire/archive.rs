//! Archives by hand, sound and otherwise.

/// One entry as the table of contents has it.
pub struct Entry {
    pub name: &'static str,
    pub method: u16,
    pub unpacked: u32,
    pub bytes: Vec<u8>,
}

pub fn stored(name: &'static str, bytes: &[u8]) -> Entry {
    let unpacked = u32::try_from(bytes.len()).unwrap();
    Entry { name, method: 0, unpacked, bytes: bytes.to_vec() }
}

/// So long when it is unpacked, says the table.
pub fn deflated(name: &'static str, packed: usize, unpacked: u32) -> Entry {
    Entry { name, method: 8, unpacked, bytes: vec![0x55; packed] }
}

pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let (mut file, mut table) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = u32::try_from(file.len()).unwrap();
        let packed = u32::try_from(entry.bytes.len()).unwrap();
        let name = u16::try_from(entry.name.len()).unwrap();
        let mut common = Vec::new();
        for half in [20, 0, entry.method, 0, 0] {
            common.extend(u16::to_le_bytes(half));
        }
        for whole in [0, packed, entry.unpacked] {
            common.extend(u32::to_le_bytes(whole));
        }
        common.extend(name.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(entry.name.as_bytes());
        file.extend(&entry.bytes);
        table.extend(b"PK\x01\x02\x14\x00");
        table.extend(&common);
        table.extend([0; 10]);
        table.extend(offset.to_le_bytes());
        table.extend(entry.name.as_bytes());
    }
    let (offset, size) = (u32::try_from(file.len()).unwrap(), u32::try_from(table.len()).unwrap());
    let count = u16::try_from(entries.len()).unwrap();
    file.extend(table);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(offset.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// What a spreadsheet has, and one sheet.
pub fn workbook(sheet: Entry) -> Vec<u8> {
    archive(&[
        stored("[Content_Types].xml", b"<Types/>"),
        stored("xl/workbook.xml", b"<workbook/>"),
        sheet,
    ])
}
