// What most suites include, compiled once for all of them (CMakeLists.txt).
#pragma once

#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tier_fixture.h"
