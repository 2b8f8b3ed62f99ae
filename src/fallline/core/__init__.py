"""The engine and the interfaces of all parts: what every part stands on, and knows no maths."""
