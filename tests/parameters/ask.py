"""As ask.php does, for Python's urllib.parse, with which Django, Flask and others read queries."""
import sys
from urllib.parse import parse_qsl

_, separator, name, value = sys.argv
for line in sys.stdin:
    query = bytes.fromhex(line.strip()).decode('latin-1')
    read = parse_qsl(query, keep_blank_values=True, separator=separator)
    sent = [said.strip().lower() for known, said in read if known == name]
    print(2 if value in sent else 1 if sent else 0)
